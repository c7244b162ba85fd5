# Shell functions that the OX commands share. Sourced by bash.
# Written anew to behave as 6.x does, defects included: do not repair what looks wrong here.

die() {
    echo "${1:-ERROR}" >&2
    exit 1
}

# ox_set_property KEY VALUE FILE
# As in 6.x: the value goes through an unquoted echo (runs of blanks become one) and into a sed program
# (a backslash is eaten, a semicolon ends the substitution), and the new file takes the place of the old one
# with the mode and owner that a new file of the caller gets.
ox_set_property() {
    local key="$1" value="$2" file="$3" quote=
    [ -n "$key" ] || die "ox_set_property: missing prop argument (arg 1)"
    [ -n "$value" ] || die "ox_set_property: missing val argument (arg 2)"
    [ -n "$file" ] || die "ox_set_property: missing propfile argument (arg 3)"
    [ -e "$file" ] || die "ox_set_property: $file does not exist"
    local new="$file.tmp$$"
    value=$(echo $value | sed 's/&/\\&/g')
    if ! grep -q -E "^$key" "$file"; then
        echo "$key=$value" >> "$file"
        return
    fi
    grep -q -E "^.*$key[:=].*\".*\".*$" "$file" && [ "${value:0:1}" != '"' ] && quote='"'
    if ! printf '%s\n' "s;\\(^$key[:=]\\).*\$;\\1$quote$value$quote;" | sed -f - "$file" > "$new"; then
        rm -f "$new"
        die "ox_set_property: FATAL: error setting property $key to \"$value\" in $file"
    fi
    mv "$new" "$file"
}

# ox_comment KEY add|remove FILE
ox_comment() {
    local key="$1" action="$2" file="$3"
    [ -e "$file" ] || die "ox_comment: $file does not exist"
    local new="$file.tmp$$"
    case "$action" in
    add) sed "s;^\\($key[:=].*\\)\$;# \\1;" "$file" > "$new" ;;
    remove) sed "s;^#[[:blank:]]*\\($key[:=].*\\)\$;\\1;" "$file" > "$new" ;;
    *) die "ox_comment: unknown action $action" ;;
    esac || die "ox_comment: FATAL: could not $action the comment of $key in $file"
    mv "$new" "$file"
}
