package com.openexchange.standin;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** An error as OX hands it to its clients: JSON with HTTP status 200. */
final class OXException extends Exception {

    private static final long serialVersionUID = 1L;

    private final String code;
    private final Category category;

    private enum Category { NONE, USER_INPUT, CONFIGURATION, PERMISSION_DENIED, TRY_AGAIN, SERVICE_DOWN, ERROR }

    private OXException(String code, Category category, String message, Throwable cause) {
        super(message, cause);
        this.code = code;
        this.category = category;
    }

    static OXException missingParameter(String name) {
        return new OXException("SVL-0002", Category.ERROR, "Missing following request parameter: " + name, null);
    }

    static OXException unknownAction(String action) {
        return new OXException("SVL-0001", Category.ERROR, "Unknown value \"" + action + "\" in parameter \"action\".", null);
    }

    static OXException invalidCredentials() {
        return new OXException("LGI-0006", Category.USER_INPUT,
            "The user name or password is incorrect.", null);
    }

    static OXException sessionExpired(String id) {
        return new OXException("SES-0203", Category.TRY_AGAIN,
            "Your session " + id + " expired. Please start a new browser session.", null);
    }

    static OXException noConfigDb(Throwable cause) {
        return new OXException("DBP-0001", Category.SERVICE_DOWN, "Cannot get connection to config DB.", cause);
    }

    static OXException noDatabase(int pool, Throwable cause) {
        return new OXException("DBP-0002", Category.SERVICE_DOWN, "Cannot get connection to database " + pool + ".", cause);
    }

    static OXException sql(Throwable cause) {
        return new OXException("DBP-0010", Category.ERROR, "SQL problem: \"" + cause.getMessage() + "\"", cause);
    }

    static OXException noFile(String name) {
        return new OXException("IFO-0300", Category.USER_INPUT, "The requested item does not exist: " + name, null);
    }

    static OXException fileStore(Throwable cause) {
        return new OXException("FLS-0001", Category.SERVICE_DOWN, "An IO error occurred: " + cause.getMessage(), cause);
    }

    boolean isServerProblem() {
        return category == Category.SERVICE_DOWN || getCause() != null;
    }

    boolean isNoConnection() {
        return Database.isUnreachable(getCause());
    }

    Map<String, Object> asJson() {
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("error", getMessage());
        json.put("error_params", List.of());
        json.put("code", code);
        json.put("category", category.ordinal());
        json.put("categories", category.name());
        json.put("error_id", Ids.next());
        return json;
    }
}
