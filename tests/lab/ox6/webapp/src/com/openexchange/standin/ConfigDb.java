package com.openexchange.standin;

import java.net.URI;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;

import com.openexchange.standin.Settings.Endpoint;

/** The lookups in configdb: which contexts there are, and where their data lies. */
final class ConfigDb {

    private static final String POOL = "SELECT url, login, password FROM db_pool WHERE db_pool_id = ?";

    private final Database configdb;
    private final String serverName;

    ConfigDb(Settings settings) {
        configdb = new Database(Database.CONFIGDB, settings.read(), Database.CONFIGDB, settings.write());
        serverName = settings.serverName();
    }

    /** The id of this cluster's server name, or null when it is not registered. */
    Integer serverId() throws OXException {
        return configdb.reading(this::serverId);
    }

    private Integer serverId(Connection connection) throws SQLException {
        return Database.first(connection, "SELECT server_id FROM server WHERE name = ?", row -> row.getInt(1), serverName);
    }

    /** The context of a login name's second part, or null. */
    Integer context(String mapping) throws OXException {
        String sql = "SELECT l.cid FROM login2context l JOIN context c ON c.cid = l.cid AND c.enabled WHERE l.login_info = ?";
        return configdb.reading(connection -> Database.first(connection, sql, row -> row.getInt(1), mapping));
    }

    /** The schema of a context with both its servers. A context belongs to one server name. */
    Database database(int context) throws OXException {
        String sql = "SELECT p.read_db_pool_id, p.write_db_pool_id, p.db_schema FROM context_server2db_pool p"
            + " JOIN server s ON s.server_id = p.server_id WHERE p.cid = ? AND s.name = ?";
        Database found = configdb.reading(connection -> {
            Pools pools = Database.first(connection, sql, Pools::of, context, serverName);
            return pools == null ? null : pools.resolve(connection);
        });
        if (found == null) {
            throw OXException.noDatabase(-1, null);
        }
        return found;
    }

    /** The folder of a context in its filestore. */
    Path fileStore(int context) throws OXException {
        String sql = "SELECT f.uri, c.filestore_name FROM context c JOIN filestore f ON f.id = c.filestore_id WHERE c.cid = ?";
        Path folder = configdb.reading(connection -> Database.first(connection, sql, row -> folder(row, context), context));
        if (folder == null) {
            throw OXException.noFile("filestore of context " + context);
        }
        return folder;
    }

    private static Path folder(ResultSet row, int context) throws SQLException {
        URI uri = URI.create(row.getString(1));
        String name = row.getString(2);
        return Path.of(uri.getPath()).resolve(name == null || name.isEmpty() ? context + "_ctx_store" : name);
    }

    private record Pools(int readId, int writeId, String schema) {

        static Pools of(ResultSet row) throws SQLException {
            int write = row.getInt(2);
            int read = row.getInt(1);
            return new Pools(read == 0 ? write : read, write, row.getString(3));
        }

        Database resolve(Connection connection) throws SQLException, OXException {
            return new Database(readId, endpoint(connection, readId), writeId, endpoint(connection, writeId));
        }

        private Endpoint endpoint(Connection connection, int id) throws SQLException, OXException {
            Endpoint endpoint = Database.first(connection, POOL, row -> {
                String[] place = Settings.serverAndSchema(row.getString(1));
                return place == null ? null : new Endpoint(place[0], schema, row.getString(2), row.getString(3));
            }, id);
            if (endpoint == null) {
                throw OXException.noDatabase(id, null);
            }
            return endpoint;
        }
    }
}
