"""Print how far the seeding of this host is."""


def seed_state(wanted):
    """Return what its program wrote last, whether it runs, and whether the slave is marked as half seeded."""
    # In this order: what has ended since has written its last word before.
    active = run(["systemctl", "is-active", "--quiet", "ox-seed"]).returncode == 0
    text = read("/run/ox-deploy/seed.json")
    return {
        **(json.loads(text) if text else {}),
        "active": active,
        "marked": os.path.exists(os.path.join(STATE_DIRECTORY, "seeding")),
    }
