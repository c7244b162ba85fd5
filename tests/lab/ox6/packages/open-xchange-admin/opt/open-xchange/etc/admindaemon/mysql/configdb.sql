-- Tables of configdb.

-- One counter for the ids of servers, filestores, databases and clusters. On an AUTO_INCREMENT column the 0 becomes 1,
-- so the first id is 2.
CREATE TABLE configdb_sequence (
    id INT UNSIGNED NOT NULL AUTO_INCREMENT,
    PRIMARY KEY (id)
);
INSERT INTO configdb_sequence (id) VALUES (0);

DROP PROCEDURE IF EXISTS get_configdb_id;
DELIMITER //
CREATE PROCEDURE get_configdb_id()
MODIFIES SQL DATA
BEGIN
    UPDATE configdb_sequence SET id = LAST_INSERT_ID(id + 1);
    SELECT LAST_INSERT_ID() AS identifier;
END//
DELIMITER ;

CREATE TABLE db_pool (
    db_pool_id INT UNSIGNED NOT NULL,
    url VARCHAR(255) NOT NULL,
    driver VARCHAR(128) NOT NULL,
    login VARCHAR(128) NOT NULL,
    password VARCHAR(128) NOT NULL,
    hardlimit INT,
    max INT,
    initial INT,
    name VARCHAR(128) NOT NULL,
    PRIMARY KEY (db_pool_id),
    INDEX (name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8;

CREATE TABLE db_cluster (
    cluster_id INT UNSIGNED NOT NULL,
    read_db_pool_id INT UNSIGNED NOT NULL,
    write_db_pool_id INT UNSIGNED NOT NULL,
    weight INT UNSIGNED,
    max_units INT,
    PRIMARY KEY (cluster_id),
    FOREIGN KEY (write_db_pool_id) REFERENCES db_pool (db_pool_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8;

CREATE TABLE reason_text (
    id INT UNSIGNED NOT NULL,
    text VARCHAR(255) NOT NULL,
    PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8;

CREATE TABLE context (
    cid INT UNSIGNED NOT NULL,
    name VARCHAR(128) NOT NULL,
    enabled BOOLEAN,
    reason_id INT UNSIGNED,
    filestore_id INT UNSIGNED,
    filestore_name VARCHAR(32),
    filestore_login VARCHAR(32),
    filestore_passwd VARCHAR(32),
    quota_max BIGINT,
    PRIMARY KEY (cid),
    INDEX (filestore_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8;

CREATE TABLE filestore (
    id INT UNSIGNED NOT NULL,
    uri VARCHAR(255) NOT NULL,
    size BIGINT UNSIGNED NOT NULL,
    max_context INT,
    PRIMARY KEY (id),
    INDEX (max_context),
    UNIQUE KEY filestore_uri_unique (uri)
) ENGINE=InnoDB DEFAULT CHARSET=utf8;

CREATE TABLE server (
    server_id INT UNSIGNED NOT NULL,
    name VARCHAR(255) NOT NULL,
    PRIMARY KEY (server_id),
    UNIQUE KEY server_name_unique (name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8;

CREATE TABLE login2context (
    cid INT UNSIGNED NOT NULL,
    login_info VARCHAR(128) NOT NULL,
    PRIMARY KEY (login_info),
    FOREIGN KEY (cid) REFERENCES context (cid)
) ENGINE=InnoDB DEFAULT CHARSET=utf8;

CREATE TABLE context_server2db_pool (
    server_id INT UNSIGNED NOT NULL,
    cid INT UNSIGNED NOT NULL,
    read_db_pool_id INT UNSIGNED NOT NULL,
    write_db_pool_id INT UNSIGNED NOT NULL,
    db_schema VARCHAR(32) NOT NULL,
    PRIMARY KEY (cid, server_id),
    INDEX (write_db_pool_id),
    INDEX (server_id),
    INDEX (db_schema),
    FOREIGN KEY (cid) REFERENCES context (cid) ON DELETE CASCADE ON UPDATE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8;
