-- Tables of a user schema (oxdatabase_N): the data of one context or more.

CREATE TABLE version (
    version INT NOT NULL,
    locked BOOLEAN NOT NULL,
    gw_compatible BOOLEAN NOT NULL,
    admin_compatible BOOLEAN NOT NULL,
    server VARCHAR(128) NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8;

CREATE TABLE sequence_id (
    cid INT UNSIGNED NOT NULL,
    id INT UNSIGNED NOT NULL,
    PRIMARY KEY (cid)
) ENGINE=InnoDB DEFAULT CHARSET=utf8;

CREATE TABLE `user` (
    cid INT UNSIGNED NOT NULL,
    id INT UNSIGNED NOT NULL,
    mail VARCHAR(256) NOT NULL,
    displayName VARCHAR(320),
    surName VARCHAR(128),
    givenName VARCHAR(128),
    userPassword VARCHAR(128),
    passwordMech VARCHAR(32) NOT NULL,
    mailEnabled BOOLEAN NOT NULL,
    shadowLastChange INT NOT NULL DEFAULT -1,
    imapServer VARCHAR(128),
    imapLogin VARCHAR(128),
    smtpServer VARCHAR(128),
    timeZone VARCHAR(128) NOT NULL DEFAULT 'Europe/Berlin',
    preferredLanguage VARCHAR(10) NOT NULL DEFAULT 'en_US',
    contactId INT UNSIGNED NOT NULL DEFAULT 0,
    PRIMARY KEY (cid, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8;

CREATE TABLE login2user (
    cid INT UNSIGNED NOT NULL,
    uid VARCHAR(128) NOT NULL,
    id INT UNSIGNED NOT NULL,
    PRIMARY KEY (cid, uid)
) ENGINE=InnoDB DEFAULT CHARSET=utf8;

CREATE TABLE user_setting_admin (
    cid INT UNSIGNED NOT NULL,
    user INT UNSIGNED NOT NULL,
    PRIMARY KEY (cid, user)
) ENGINE=InnoDB DEFAULT CHARSET=utf8;

CREATE TABLE user_configuration (
    cid INT UNSIGNED NOT NULL,
    user INT UNSIGNED NOT NULL,
    permissions VARCHAR(512) NOT NULL,
    PRIMARY KEY (cid, user)
) ENGINE=InnoDB DEFAULT CHARSET=utf8;

CREATE TABLE `groups` (
    cid INT UNSIGNED NOT NULL,
    id INT UNSIGNED NOT NULL,
    identifier VARCHAR(128) NOT NULL,
    displayName VARCHAR(128) NOT NULL,
    PRIMARY KEY (cid, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8;

CREATE TABLE groups_member (
    cid INT UNSIGNED NOT NULL,
    id INT UNSIGNED NOT NULL,
    member INT UNSIGNED NOT NULL,
    PRIMARY KEY (cid, id, member)
) ENGINE=InnoDB DEFAULT CHARSET=utf8;

CREATE TABLE filestore_usage (
    cid INT UNSIGNED NOT NULL,
    used BIGINT NOT NULL,
    PRIMARY KEY (cid)
) ENGINE=InnoDB DEFAULT CHARSET=utf8;

CREATE TABLE infostore (
    cid INT UNSIGNED NOT NULL,
    id INT UNSIGNED NOT NULL,
    folder_id INT UNSIGNED NOT NULL,
    version INT UNSIGNED NOT NULL,
    creating_date BIGINT NOT NULL,
    last_modified BIGINT NOT NULL,
    created_by INT UNSIGNED NOT NULL,
    changed_by INT UNSIGNED,
    PRIMARY KEY (cid, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8;

CREATE TABLE infostore_document (
    cid INT UNSIGNED NOT NULL,
    infostore_id INT UNSIGNED NOT NULL,
    version_number INT UNSIGNED NOT NULL,
    creating_date BIGINT NOT NULL,
    created_by INT UNSIGNED NOT NULL,
    title VARCHAR(767),
    filename VARCHAR(767),
    file_store_location VARCHAR(255),
    file_size BIGINT,
    file_mimetype VARCHAR(255),
    file_md5sum VARCHAR(32),
    PRIMARY KEY (cid, infostore_id, version_number)
) ENGINE=InnoDB DEFAULT CHARSET=utf8;
