"""What MariaDB and MySQL are, and what their states mean. Pure: nothing is asked or changed."""
