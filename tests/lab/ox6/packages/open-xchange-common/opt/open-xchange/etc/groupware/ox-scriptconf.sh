# Options of the groupware daemon's Java machine
JAVA_XTRAOPTS="-Xms512m -Xmx512m"
