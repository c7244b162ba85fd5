package com.openexchange.standin;

import java.io.IOException;
import java.io.InputStream;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import com.openexchange.standin.Sessions.Session;

import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;

/** /ajax/infostore: content goes to the context's filestore, its description to the write server of the database. */
final class InfostoreServlet extends OXServlet {

    private static final long serialVersionUID = 1L;
    private static final String LIST = "SELECT i.id, d.filename, d.file_store_location, d.file_size, i.created_by"
        + " FROM infostore i JOIN infostore_document d ON d.cid = i.cid AND d.infostore_id = i.id"
        + " AND d.version_number = i.version WHERE i.cid = ? ORDER BY i.id";
    private static final String NEXT_ID = "SELECT COALESCE(MAX(id), 0) + 1 FROM infostore WHERE cid = ? FOR UPDATE";
    private static final String ADD = "INSERT INTO infostore"
        + " (cid, id, folder_id, version, creating_date, last_modified, created_by) VALUES (?, ?, ?, 1, ?, ?, ?)";
    private static final String ADD_DOCUMENT = "INSERT INTO infostore_document (cid, infostore_id, version_number,"
        + " creating_date, created_by, title, filename, file_store_location, file_size) VALUES (?, ?, 1, ?, ?, ?, ?, ?, ?)";
    private static final int PUBLIC_FOLDER = 15;

    private final transient ConfigDb configdb;
    private final transient Sessions sessions;

    private record Item(int id, String name, String path, long size, int createdBy) {

        static Item of(ResultSet row) throws SQLException {
            return new Item(row.getInt(1), row.getString(2), row.getString(3), row.getLong(4), row.getInt(5));
        }

        Map<String, Object> asJson() {
            Map<String, Object> json = new LinkedHashMap<>();
            json.put("id", id);
            json.put("name", name);
            json.put("path", path);
            json.put("size", size);
            json.put("created_by", createdBy);
            return json;
        }
    }

    InfostoreServlet(ConfigDb configdb, Sessions sessions) {
        this.configdb = configdb;
        this.sessions = sessions;
    }

    @Override
    Map<String, Object> answer(String action, HttpServletRequest request, HttpServletResponse response)
        throws OXException, IOException {
        Session session = sessions.get(parameter(request, "session"));
        switch (action) {
            case "list":
                return data(list(session).stream().map(Item::asJson).toList());
            case "new":
                return data(add(session, parameter(request, "name"), request.getInputStream()));
            case "get":
                send(find(session, parameter(request, "id")), session, response);
                return null;
            case "delete":
                delete(find(session, parameter(request, "id")), session);
                return data(List.of());
            default:
                throw OXException.unknownAction(action);
        }
    }

    /** Of the address only: looking for a form would eat the content of the file. */
    @Override
    String optionalParameter(HttpServletRequest request, String name) {
        String query = request.getQueryString() == null ? "" : request.getQueryString();
        for (String pair : query.split("&")) {
            if (pair.startsWith(name + "=")) {
                return URLDecoder.decode(pair.substring(name.length() + 1), StandardCharsets.UTF_8);
            }
        }
        return null;
    }

    private static List<Item> list(Session session) throws OXException {
        return session.database().reading(connection -> {
            List<Item> items = new ArrayList<>();
            try (PreparedStatement statement = Database.prepare(connection, LIST, session.context());
                ResultSet result = statement.executeQuery()) {
                while (result.next()) {
                    items.add(Item.of(result));
                }
            }
            return items;
        });
    }

    private static Item find(Session session, String id) throws OXException {
        return list(session).stream().filter(item -> id.equals(Integer.toString(item.id()))).findFirst()
            .orElseThrow(() -> OXException.noFile(id));
    }

    private int add(Session session, String name, InputStream content) throws OXException {
        Path folder = configdb.fileStore(session.context());
        String id = Ids.next();
        String path = "hashed/" + id.substring(0, 2) + "/" + id.substring(2, 4) + "/" + id;
        try {
            Path file = folder.resolve(path);
            Files.createDirectories(file.getParent());
            long size = Files.copy(content, file);
            return session.database().writing(connection -> insert(connection, session, name, path, size));
        } catch (IOException e) {
            throw OXException.fileStore(e);
        }
    }

    private static int insert(Connection connection, Session session, String name, String path, long size)
        throws SQLException {
        connection.setAutoCommit(false);
        int context = session.context();
        long now = System.currentTimeMillis();
        int id = Database.first(connection, NEXT_ID, row -> row.getInt(1), context);
        execute(connection, ADD, context, id, PUBLIC_FOLDER, now, now, session.user());
        execute(connection, ADD_DOCUMENT, context, id, now, session.user(), name, name, path, size);
        connection.commit();
        return id;
    }

    private static int execute(Connection connection, String sql, Object... values) throws SQLException {
        try (PreparedStatement statement = Database.prepare(connection, sql, values)) {
            return statement.executeUpdate();
        }
    }

    private void send(Item item, Session session, HttpServletResponse response) throws OXException {
        Path file = configdb.fileStore(session.context()).resolve(item.path());
        response.setContentType("application/octet-stream");
        try {
            Files.copy(file, response.getOutputStream());
        } catch (IOException e) {
            throw OXException.fileStore(e);
        }
    }

    private void delete(Item item, Session session) throws OXException {
        session.database().writing(connection -> {
            execute(connection, "DELETE FROM infostore_document WHERE cid = ? AND infostore_id = ?", session.context(), item.id());
            return execute(connection, "DELETE FROM infostore WHERE cid = ? AND id = ?", session.context(), item.id());
        });
        try {
            Files.deleteIfExists(configdb.fileStore(session.context()).resolve(item.path()));
        } catch (IOException e) {
            throw OXException.fileStore(e);
        }
    }
}
