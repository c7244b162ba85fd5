package com.openexchange.standin;

import java.io.IOException;

import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;

/** The other paths that a balancer has to hand on: each says its name and its route. */
final class PathServlet extends HttpServlet {

    private static final long serialVersionUID = 1L;

    private final String route;

    PathServlet(String route) {
        this.route = route;
    }

    @Override
    protected void service(HttpServletRequest request, HttpServletResponse response) throws IOException {
        response.setContentType("text/plain;charset=UTF-8");
        response.setHeader("Cache-Control", "no-store");
        response.getWriter().write("path=" + request.getServletPath() + " route=" + route + "\n");
    }
}
