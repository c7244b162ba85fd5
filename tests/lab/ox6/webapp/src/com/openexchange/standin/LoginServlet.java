package com.openexchange.standin;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.Map;

import com.openexchange.standin.Sessions.Session;

import jakarta.servlet.http.Cookie;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;

/** /ajax/login: 6.10 takes name and password from the form and from the address alike. */
final class LoginServlet extends OXServlet {

    private static final long serialVersionUID = 1L;
    private static final String COOKIE = "JSESSIONID";
    private static final String DEFAULT_CONTEXT = "defaultcontext";
    private static final String USER = "SELECT u.id, u.displayName, u.userPassword, u.passwordMech FROM login2user l"
        + " JOIN user u ON u.cid = l.cid AND u.id = l.id WHERE l.cid = ? AND l.uid = ?";

    private final transient ConfigDb configdb;
    private final transient Sessions sessions;
    private final String route;

    private record User(int id, String displayName, String password, String mechanism) { }

    LoginServlet(ConfigDb configdb, Sessions sessions, String route) {
        this.configdb = configdb;
        this.sessions = sessions;
        this.route = route;
    }

    @Override
    Map<String, Object> answer(String action, HttpServletRequest request, HttpServletResponse response) throws OXException {
        switch (action) {
            case "login":
                Session session = login(parameter(request, "name"), parameter(request, "password"));
                response.addCookie(cookie(Ids.next() + "." + route, -1));
                return asJson(session);
            case "logout":
                sessions.remove(parameter(request, "session"));
                // Without the cookie the balancer is free to choose again.
                response.addCookie(cookie("", 0));
                return Map.of();
            default:
                throw OXException.unknownAction(action);
        }
    }

    private Session login(String name, String password) throws OXException {
        int at = name.lastIndexOf('@');
        String uid = at < 0 ? name : name.substring(0, at);
        Integer context = configdb.context(at < 0 ? DEFAULT_CONTEXT : name.substring(at + 1));
        if (context == null) {
            throw OXException.invalidCredentials();
        }
        Database database = configdb.database(context);
        User user = database.reading(connection -> Database.first(connection, USER,
            row -> new User(row.getInt(1), row.getString(2), row.getString(3), row.getString(4)), context, uid));
        if (user == null || !matches(user, password)) {
            throw OXException.invalidCredentials();
        }
        return sessions.add(context, user.id(), uid, user.displayName(), database);
    }

    private static boolean matches(User user, String password) {
        if (user.password() == null || !"{SHA}".equals(user.mechanism())) {
            return false;
        }
        try {
            byte[] digest = MessageDigest.getInstance("SHA-1").digest(password.getBytes(StandardCharsets.UTF_8));
            byte[] given = Base64.getEncoder().encode(digest);
            return MessageDigest.isEqual(given, user.password().getBytes(StandardCharsets.US_ASCII));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    private static Cookie cookie(String value, int age) {
        Cookie cookie = new Cookie(COOKIE, value);
        cookie.setPath("/");
        cookie.setMaxAge(age);
        return cookie;
    }

    private static Map<String, Object> asJson(Session session) {
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("session", session.id());
        json.put("user", session.login());
        json.put("user_id", session.user());
        json.put("context_id", session.context());
        json.put("locale", "en_US");
        json.put("random", session.random());
        return json;
    }
}
