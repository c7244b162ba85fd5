"""Print how the daemons of a groupware node are."""


def daemons_state(wanted):
    """Return each service's state; systemd alone does not notice when the child of an init script dies."""
    ports = wanted["ports"]
    states = unit_states(list(ports))
    return {
        name: {
            "active": states[name]["active"],
            "enabled": states[name]["enabled"],
            "listening": listens(port),
            "pending": os.path.exists(pending_path(name)),
        }
        for name, port in ports.items()
        if name in states
    }
