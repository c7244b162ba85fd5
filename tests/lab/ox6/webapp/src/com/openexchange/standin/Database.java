package com.openexchange.standin;

import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Properties;
import java.util.logging.Level;
import java.util.logging.Logger;

import com.openexchange.standin.Settings.Endpoint;

/** A schema with a server to read from and one to write to. A connection is made for each use: simple, and always current. */
record Database(int readId, Endpoint read, int writeId, Endpoint write) {

    private static final Logger LOG = Logger.getLogger("com.openexchange.database.DatabaseService");
    static final int CONFIGDB = 0;

    /** A part of the work that needs a connection. */
    interface Work<T> {
        T with(Connection connection) throws SQLException, OXException;
    }

    /** As OX does: a dead read server is replaced by the write server, with a warning. */
    <T> T reading(Work<T> work) throws OXException {
        Connection connection;
        try {
            connection = connect(read);
        } catch (SQLException e) {
            if (read.equals(write) || !isUnreachable(e)) {
                throw unreachable(readId, e);
            }
            LOG.log(Level.WARNING, "Read server {0} does not answer, using the write server: {1}",
                new Object[] {read.server(), e.getMessage()});
            return writing(work);
        }
        return use(connection, work);
    }

    <T> T writing(Work<T> work) throws OXException {
        try {
            return use(connect(write), work);
        } catch (SQLException e) {
            throw unreachable(writeId, e);
        }
    }

    private static <T> T use(Connection connection, Work<T> work) throws OXException {
        try (connection) {
            return work.with(connection);
        } catch (SQLException e) {
            throw OXException.sql(e);
        }
    }

    /** A server that refuses the account is not dead. */
    static boolean isUnreachable(Throwable e) {
        return e instanceof SQLException sql && sql.getSQLState() != null && sql.getSQLState().startsWith("08");
    }

    private static OXException unreachable(int id, SQLException e) {
        return id == CONFIGDB ? OXException.noConfigDb(e) : OXException.noDatabase(id, e);
    }

    private static Connection connect(Endpoint endpoint) throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", endpoint.user());
        properties.setProperty("password", endpoint.password());
        properties.setProperty("connectTimeout", "3000");
        properties.setProperty("socketTimeout", "15000");
        // For MySQL 8 and later, which the vendor's driver of 2010 does not know.
        properties.setProperty("allowPublicKeyRetrieval", "true");
        return DriverManager.getConnection("jdbc:mariadb://" + endpoint.server() + "/" + endpoint.schema(), properties);
    }

    /** The first row, read by a function, or null. */
    static <T> T first(Connection connection, String sql, Row<T> row, Object... values) throws SQLException {
        try (PreparedStatement statement = prepare(connection, sql, values); ResultSet result = statement.executeQuery()) {
            return result.next() ? row.read(result) : null;
        }
    }

    static PreparedStatement prepare(Connection connection, String sql, Object... values) throws SQLException {
        PreparedStatement statement = connection.prepareStatement(sql);
        for (int i = 0; i < values.length; i++) {
            statement.setObject(i + 1, values[i]);
        }
        return statement;
    }

    /** Reads the current row of a result. */
    interface Row<T> {
        T read(ResultSet result) throws SQLException;
    }
}
