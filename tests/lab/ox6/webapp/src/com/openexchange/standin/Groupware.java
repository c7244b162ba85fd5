package com.openexchange.standin;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.logging.FileHandler;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.Logger;
import java.util.logging.SimpleFormatter;

import org.apache.catalina.Context;
import org.apache.catalina.Lifecycle;
import org.apache.catalina.LifecycleException;
import org.apache.catalina.connector.Connector;
import org.apache.catalina.core.StandardContext;
import org.apache.catalina.startup.Tomcat;

import jakarta.servlet.Servlet;

/** The groupware daemon: Tomcat's AJP connector in front of the few servlets of the stand-in. */
public final class Groupware {

    private static final Logger LOG = Logger.getLogger("com.openexchange.server.osgi.Activator");
    private static final int LOG_BYTES = 2 << 20;
    private static final int LOG_FILES = 10;
    private static final List<String> PATHS =
        List.of("/servlet", "/infostore", "/publications", "/axis2", "/Microsoft-Server-ActiveSync");

    private Groupware() { }

    /** Arguments: folder of the configuration, log folder, folder for Tomcat's work, file to create when all is up. */
    public static void main(String[] args) throws IOException {
        log(Path.of(args[1]));
        try {
            Settings settings = Settings.read(Path.of(args[0]));
            ConfigDb configdb = new ConfigDb(settings);
            requireRegisteredServer(configdb, settings);
            start(settings, configdb, args[2]);
            Files.writeString(Path.of(args[3]), settings.route() + "\n");
            LOG.info("Open-Xchange Server is up. Route: " + settings.route() + ", AJP: " + settings.bindAddress() + ":" + settings.port());
        } catch (Settings.Unusable | OXException | LifecycleException | RuntimeException e) {
            LOG.log(Level.SEVERE, "Open-Xchange Server cannot start: " + reason(e), e);
            System.err.println("Open-Xchange Server cannot start: " + reason(e));
            System.exit(1);
        }
    }

    /**
     * A database on another host may come up after this one: then logins fail until it is there, and the daemon runs.
     * One that answers must know this server.
     */
    private static void requireRegisteredServer(ConfigDb configdb, Settings settings) throws OXException, Settings.Unusable {
        try {
            if (configdb.serverId() == null) {
                throw new Settings.Unusable("Server " + settings.serverName() + " is not registered in configdb.");
            }
        } catch (OXException e) {
            if (!e.isNoConnection() || settings.read().isLocal()) {
                throw e;
            }
            LOG.warning("The configdb does not answer yet: " + reason(e));
        }
    }

    private static void start(Settings settings, ConfigDb configdb, String work) throws LifecycleException {
        Tomcat tomcat = new Tomcat();
        tomcat.setBaseDir(work);
        tomcat.setConnector(connector(settings.bindAddress(), settings.port()));
        tomcat.getEngine().setJvmRoute(settings.route());
        addServlets(context(tomcat), settings, configdb);
        tomcat.start();
        if (!tomcat.getConnector().getState().isAvailable()) {
            throw new LifecycleException("AJP cannot listen on " + settings.bindAddress() + ":" + settings.port() + ".");
        }
        Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(tomcat)));
    }

    /** A context that is complete as it is: no jars, annotations or descriptors are searched. */
    private static Context context(Tomcat tomcat) {
        StandardContext context = new StandardContext();
        context.setName("");
        context.setPath("");
        context.setIgnoreAnnotations(true);
        context.addLifecycleListener(event -> {
            if (Lifecycle.CONFIGURE_START_EVENT.equals(event.getType())) {
                context.setConfigured(true);
            }
        });
        tomcat.getHost().addChild(context);
        return context;
    }

    private static Connector connector(String bindAddress, int port) {
        Connector connector = new Connector("AJP/1.3");
        connector.setPort(port);
        connector.setProperty("address", bindAddress.equals("*") ? "0.0.0.0" : bindAddress);
        // The guide's balancer sends no secret: who may reach the port is the network's business.
        connector.setProperty("secretRequired", "false");
        connector.setProperty("allowedRequestAttributesPattern", ".*");
        connector.setProperty("minSpareThreads", "2");
        connector.setThrowOnFailure(true);
        connector.setURIEncoding("UTF-8");
        return connector;
    }

    private static void addServlets(Context context, Settings settings, ConfigDb configdb) {
        Sessions sessions = new Sessions();
        add(context, "/ajax/login", new LoginServlet(configdb, sessions, settings.route()));
        add(context, "/ajax/system", new SystemServlet(sessions, hostname(), settings.route()));
        add(context, "/ajax/infostore", new InfostoreServlet(configdb, sessions));
        for (String path : PATHS) {
            add(context, path + "/*", new PathServlet(settings.route()));
        }
    }

    private static void add(Context context, String path, Servlet servlet) {
        Tomcat.addServlet(context, path, servlet);
        context.addServletMappingDecoded(path, path);
    }

    private static void stop(Tomcat tomcat) {
        try {
            tomcat.stop();
        } catch (LifecycleException e) {
            LOG.log(Level.WARNING, "Stopping failed", e);
        }
    }

    /** One log for all, as OX has it: open-xchange.log.0 is the newest, .1 the one before. */
    private static void log(Path folder) throws IOException {
        Handler handler = new FileHandler(folder + "/open-xchange.log.%g", LOG_BYTES, LOG_FILES, true);
        handler.setFormatter(new SimpleFormatter());
        Logger root = Logger.getLogger("");
        for (Handler old : root.getHandlers()) {
            root.removeHandler(old);
        }
        root.addHandler(handler);
    }

    /** The error with its innermost cause, in one line. */
    private static String reason(Throwable e) {
        Throwable cause = e;
        while (cause.getCause() != null) {
            cause = cause.getCause();
        }
        String detail = String.valueOf(cause.getMessage()).lines().findFirst().orElse("");
        return cause == e ? detail : e.getMessage() + " " + detail;
    }

    private static String hostname() {
        try {
            return Files.readString(Path.of("/proc/sys/kernel/hostname")).strip();
        } catch (IOException e) {
            return "unknown";
        }
    }
}
