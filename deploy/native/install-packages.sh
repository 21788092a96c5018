#!/bin/sh
# Run as root by bootstrap.sh: installs the named packages without letting one of them start a daemon or make a database.
set -eu
policy=/usr/sbin/policy-rc.d
kept=$policy.before-shop
clusters=/etc/postgresql-common/createcluster.d
mark='# put here by the shop while it installs packages'

restore() {
    if [ -f $policy ] && grep -qF "$mark" $policy; then
        rm -f $policy
    fi
    if [ -e $kept ]; then
        mv -f $kept $policy
    fi
    rm -f $clusters/shop.conf
    rmdir $clusters 2>/dev/null || true
}

# An earlier run that was killed may have left its own behind.
restore
trap restore EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

if [ -e $policy ]; then
    mv $policy $kept
fi
printf '#!/bin/sh\n%s\nexit 101\n' "$mark" >$policy
chmod 755 $policy
mkdir -p $clusters
printf '%s\ncreate_main_cluster = false\n' "$mark" >$clusters/shop.conf

DEBIAN_FRONTEND=noninteractive
export DEBIAN_FRONTEND
apt-get -q -o DPkg::Lock::Timeout=300 update
apt-get -q -o DPkg::Lock::Timeout=300 install --yes --no-install-recommends "$@"
