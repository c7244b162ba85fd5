package com.openexchange.standin;

import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.logging.Level;
import java.util.logging.Logger;

import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;

/** A servlet whose answers and errors are JSON. */
abstract class OXServlet extends HttpServlet {

    private static final long serialVersionUID = 1L;
    private static final Logger LOG = Logger.getLogger("com.openexchange.ajax.AJAXServlet");

    /** The answer as a map, or null when the action wrote it by itself. */
    abstract Map<String, Object> answer(String action, HttpServletRequest request, HttpServletResponse response)
        throws OXException, IOException;

    @Override
    protected final void service(HttpServletRequest request, HttpServletResponse response) throws IOException {
        Map<String, Object> json;
        try {
            json = answer(parameter(request, "action"), request, response);
        } catch (OXException e) {
            if (e.isServerProblem()) {
                LOG.log(Level.SEVERE, e.getMessage(), e);
            }
            json = e.asJson();
        }
        if (json != null) {
            response.setContentType("application/json;charset=UTF-8");
            response.setHeader("Cache-Control", "no-store");
            response.getWriter().write(Json.of(json));
        }
    }

    /** A parameter of the address or the form. */
    String optionalParameter(HttpServletRequest request, String name) {
        return request.getParameter(name);
    }

    final String parameter(HttpServletRequest request, String name) throws OXException {
        String value = optionalParameter(request, name);
        if (value == null || value.isEmpty()) {
            throw OXException.missingParameter(name);
        }
        return value;
    }

    static Map<String, Object> data(Object value) {
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("data", value);
        return json;
    }
}
