package com.openexchange.standin;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.logging.Level;
import java.util.logging.Logger;

/** The sessions of this node. No other node knows them: that is what makes the balancer stick to a route. */
final class Sessions {

    /** A user who is logged in. */
    record Session(String id, String random, int context, int user, String login, String displayName, Database database) { }

    private static final Logger LOG = Logger.getLogger("com.openexchange.sessiond.impl.SessiondServiceImpl");

    private final Map<String, Session> sessions = new ConcurrentHashMap<>();

    Session add(int context, int user, String login, String displayName, Database database) {
        Session session = new Session(Ids.next(), Ids.next(), context, user, login, displayName, database);
        sessions.put(session.id(), session);
        LOG.log(Level.INFO, () -> "Session created. ID: " + session.id() + ", Context: " + context + ", User: " + user);
        return session;
    }

    Session get(String id) throws OXException {
        Session session = sessions.get(id);
        if (session == null) {
            throw OXException.sessionExpired(id);
        }
        return session;
    }

    void remove(String id) throws OXException {
        get(id);
        sessions.remove(id);
        LOG.log(Level.INFO, () -> "Session removed. ID: " + id);
    }
}
