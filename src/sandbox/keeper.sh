# Clears a sandbox away once its owner is gone, also when that was killed.
#
# $1 is the sandbox's folder. Standard input is a pipe that only the owner holds,
# so it ends with the owner. Each file in $1/processes is named after a process
# group and holds the signal that ends the group at once.

trap '' HUP INT QUIT TERM

# A zombie has ended, even where nobody collects it.
runs() {
    read -r stat 2>/dev/null <"/proc/$1/stat" || return 1
    case ${stat##*)} in ' Z'* | ' X'*) return 1 ;; esac
}

while read -r _; do :; done

groups=
for record in "$1"/processes/*; do
    [ -f "$record" ] || continue
    group=${record##*/}
    kill -s "$(cat "$record")" -- "-$group"
    groups="$groups $group"
done

# PostgreSQL needs a moment to end its own processes and free its shared memory.
for group in $groups; do
    left=60
    while [ "$left" -gt 0 ] && runs "$group"; do
        sleep 0.1
        left=$((left - 1))
    done
    kill -s KILL -- "-$group"
done

# What a server still wrote while the first pass ran, the second one takes.
rm -rf -- "$1" || { sleep 0.2 && rm -rf -- "$1"; }
