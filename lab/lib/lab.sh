# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash source-path=SCRIPTDIR
# All parts, in the order in which each stands on the ones before.
lab_lib=${BASH_SOURCE[0]%/*}
# shellcheck source=common.sh
. "$lab_lib/common.sh"
# shellcheck source=fetch.sh
. "$lab_lib/fetch.sh"
# shellcheck source=image.sh
. "$lab_lib/image.sh"
# shellcheck source=topology.sh
. "$lab_lib/topology.sh"
# shellcheck source=session.sh
. "$lab_lib/session.sh"
