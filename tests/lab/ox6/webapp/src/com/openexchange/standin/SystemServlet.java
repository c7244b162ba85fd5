package com.openexchange.standin;

import java.util.LinkedHashMap;
import java.util.Map;

import com.openexchange.standin.Sessions.Session;

import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;

/** /ajax/system?action=whoami tells which node answers, and whom it takes the caller for. */
final class SystemServlet extends OXServlet {

    private static final long serialVersionUID = 1L;

    private final transient Sessions sessions;
    private final String hostname;
    private final String route;

    SystemServlet(Sessions sessions, String hostname, String route) {
        this.sessions = sessions;
        this.hostname = hostname;
        this.route = route;
    }

    @Override
    Map<String, Object> answer(String action, HttpServletRequest request, HttpServletResponse response) throws OXException {
        if (!action.equals("whoami")) {
            throw OXException.unknownAction(action);
        }
        Session session = sessions.get(parameter(request, "session"));
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("hostname", hostname);
        json.put("route", route);
        json.put("user", session.login());
        json.put("display_name", session.displayName());
        json.put("user_id", session.user());
        json.put("context_id", session.context());
        return data(json);
    }
}
