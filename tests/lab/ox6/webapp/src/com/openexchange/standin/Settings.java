package com.openexchange.standin;

import java.io.IOException;
import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What oxinstaller wrote into the files of the groupware daemon. */
record Settings(String route, String bindAddress, int port, String serverName, Endpoint read, Endpoint write) {

    /** A reason not to start, in one sentence. */
    static final class Unusable extends Exception {

        private static final long serialVersionUID = 1L;

        Unusable(String message) {
            super(message);
        }
    }

    /** A database server, an account there, and the schema to use. */
    record Endpoint(String server, String schema, String user, String password) {

        /** As the shipped settings are: the database is expected on this host. */
        boolean isLocal() {
            return server.matches("(localhost|127[.][0-9.]+)(:[0-9]+)?");
        }
    }

    private static final Pattern JDBC = Pattern.compile("jdbc:(?:mysql|mariadb)://([^/?]*)(?:/([^?]*))?.*");

    static Settings read(Path folder) throws Unusable {
        Properties ajp = properties(folder.resolve("ajp.properties"));
        Properties configdb = properties(folder.resolve("configdb.properties"));
        Properties system = properties(folder.resolve("system.properties"));
        return new Settings(
            value(ajp, "AJP_JVM_ROUTE", "ajp.properties"),
            value(ajp, "AJP_BIND_ADDR", "ajp.properties"),
            port(ajp.getProperty("AJP_PORT", "8009")),
            value(system, "SERVER_NAME", "system.properties"),
            endpoint(configdb, "read"),
            endpoint(configdb, "write"));
    }

    /** Server and schema of a JDBC address. Its parameters are left aside: they are those of another driver. */
    static String[] serverAndSchema(String url) {
        Matcher matcher = JDBC.matcher(url.strip());
        if (!matcher.matches() || matcher.group(1).isEmpty()) {
            return null;
        }
        return new String[] {matcher.group(1), matcher.group(2) == null ? "" : matcher.group(2)};
    }

    private static Endpoint endpoint(Properties file, String kind) throws Unusable {
        String[] place = serverAndSchema(value(file, kind + "Url", "configdb.properties"));
        String user = null;
        String password = null;
        for (int n = 1; file.getProperty(kind + "Property." + n) != null; n++) {
            String[] pair = file.getProperty(kind + "Property." + n).split("=", 2);
            if (pair.length == 2 && pair[0].equals("user")) {
                user = pair[1];
            } else if (pair.length == 2 && pair[0].equals("password")) {
                password = pair[1];
            }
        }
        if (place == null || place[1].isEmpty() || user == null || user.isEmpty() || password == null) {
            throw new Unusable("configdb.properties has no usable " + kind + "Url with user and password.");
        }
        return new Endpoint(place[0], place[1], user, password);
    }

    private static String value(Properties file, String key, String name) throws Unusable {
        String value = file.getProperty(key, "").strip();
        if (value.isEmpty()) {
            throw new Unusable("Property " + key + " is not set in " + name + ".");
        }
        return value;
    }

    private static int port(String text) throws Unusable {
        try {
            return Integer.parseInt(text.strip());
        } catch (NumberFormatException e) {
            throw new Unusable("AJP_PORT in ajp.properties is not a number: " + text);
        }
    }

    private static Properties properties(Path file) throws Unusable {
        Properties properties = new Properties();
        try (Reader reader = Files.newBufferedReader(file)) {
            properties.load(reader);
        } catch (IOException | IllegalArgumentException e) {
            throw new Unusable("Cannot read " + file + ": " + e);
        }
        return properties;
    }
}
