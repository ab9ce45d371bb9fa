#!/bin/sh
# Who may do what on the broker, no more than each needs. Run where `rabbitmqctl` works, with the
# virtual host, and the setting OTODOKE_PREFIX with a dot where there is one:
#
#   ./rabbitmq.sh VHOST [PREFIX.]
#
# The users must be there (`rabbitmqctl add_user NAME`): call them as you like by the variables.
#
#   setup        `otodoke topology`: declares exchanges and queues; not needed while it runs
#   processor    `otodoke run --no-setup`: consumes the queues, publishes derived events
#   publisher    an upstream system: publishes events, and reads nothing
#   subscriber   what follows from events: has queues of its own name, and publishes nothing
set -eu
vhost=$1
prefix=$(printf %s "${2:-}" | sed 's/[.[\*^$()+?{|\\]/\\&/g')
allow() { rabbitmqctl set_permissions -p "$vhost" "$1" "$2" "$3" "$4"; }

#     user                              configure                              write                                  read
allow "${SETUP:-otodoke-setup}"         "^$prefix(marketplace|otodoke)\\."      "^$prefix(marketplace|otodoke)\\."      "^$prefix(marketplace|otodoke)\\."
allow "${PROCESSOR:-otodoke-processor}" '^$'                                   "^${prefix}marketplace\\.derived\$"     "^${prefix}otodoke\\."
allow "${PUBLISHER:-otodoke-publisher}" '^$'                                   "^${prefix}marketplace\\.events\$"      '^$'
name=${SUBSCRIBER:-otodoke-subscriber}
own=$(printf %s "$name" | sed 's/[.[\*^$()+?{|\\]/\\&/g')
allow "$name"                           "^$own(\\..*)?\$"                      "^$own(\\..*)?\$"                      "^($own(\\..*)?|${prefix}marketplace\\.derived)\$"
