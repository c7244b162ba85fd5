# Options of the Java machines of the admin daemon and of the command line tools
JAVA_XTRAOPTS="-Xms100m -Xmx100m"
JAVA_OXCMD_OPTS="-Xms50m -Xmx50m"
