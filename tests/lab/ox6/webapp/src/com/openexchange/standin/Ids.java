package com.openexchange.standin;

import java.util.UUID;

/** Identifiers of 32 hexadecimal digits, as OX uses them for sessions, cookies and files. */
final class Ids {

    private Ids() { }

    static String next() {
        return UUID.randomUUID().toString().replace("-", "");
    }
}
