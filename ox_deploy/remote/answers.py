"""Answer many questions in one go, each by its own program."""


def answers(wanted):
    """Return each program's answer, or None where it failed: it is asked on its own then, and says why."""
    texts = {name: compile(text, name, "exec") for name, text in wanted["texts"].items()}
    found = []
    for parts, arguments in wanted["questions"]:
        program = {}
        try:
            for part in parts:
                exec(texts[part], program)
            found.append(program[parts[-1]](arguments))
        except (Exception, SystemExit):
            found.append(None)
    return found
