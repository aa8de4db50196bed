#!/bin/sh
# Install Gatepost on this host (Debian 12), as root; the same again upgrades.
#
#   install.sh [install] [--services "edge content"] [--hostname NAME] [--broker NAME] [--bundle FILE] [--root FOLDER]
#   install.sh uninstall [--root FOLDER]     units and /opt/gatepost go; /etc/gatepost, data and users stay
#   install.sh roll-back [--root FOLDER]     the programs from before the last upgrade
#
# Owns: Debian's packages, and the programs in /opt/gatepost with those from before in /opt/gatepost.old. The rest is done
# by infra/systemd/install.py. With --root, a folder stands for the host, and nothing is installed by apt or started.
set -eu
umask 022
here=$(cd "$(dirname "$0")/../.." && pwd)
python=${PYTHON:-/usr/bin/python3}
root=/
services=''
action=install
case ${1:-} in install | uninstall | roll-back)
    action=$1
    shift
    ;;
esac
expects=''
for word in "$@"; do
    [ "$expects" = --root ] && root=$word
    [ "$expects" = --services ] && services=$word
    case $word in --root | --services) expects=$word ;; *) expects='' ;; esac
done
if [ "$(id -u)" != 0 ]; then
    echo 'install: this needs root' >&2
    exit 1
fi
root=$(cd "$root" && pwd)
[ "$root" = / ] && prefix='' || prefix=$root
opt=$prefix/opt/gatepost
systemd() { [ -z "$prefix" ] && [ -d /run/systemd/system ]; }

stop_units() {
    systemd || return 0
    # One by one: a unit that this host has not would keep systemctl from all others.
    for unit in gatepost.target gatepost-signatures.path gatepost-edge.service gatepost-content.service \
        gatepost-delivery.service gatepost-console.service; do
        systemctl disable --quiet --now "$unit" 2>/dev/null || true
    done
}

uninstall() {
    stop_units
    for unit in edge content delivery console; do
        rm -f "$prefix/etc/systemd/system/gatepost-$unit.service"
    done
    rm -f "$prefix/etc/systemd/system/gatepost.target" "$prefix/etc/systemd/system/gatepost-signatures.path" \
        "$prefix/etc/systemd/system/gatepost-recorder.service" \
        "$prefix/etc/systemd/system/multi-user.target.wants/gatepost.target" "$prefix/usr/local/bin/gatepost" \
        "$prefix/etc/sysusers.d/gatepost.conf"
    rm -rf "$prefix/etc/systemd/system/gatepost-.service.d" "$prefix/etc/systemd/system/gatepost.target.wants" "$opt" "$opt.old" "$opt.new"
    if systemd; then systemctl daemon-reload; fi
    echo 'install: removed. /etc/gatepost, /etc/rabbitmq, /var/lib/gatepost-* and the users are still there.'
}

roll_back() {
    if [ ! -d "$opt.old" ]; then
        echo "install: $opt.old is not there: nothing to go back to" >&2
        exit 1
    fi
    mv "$opt" "$opt.new" && mv "$opt.old" "$opt" && mv "$opt.new" "$opt.old"
    if systemd; then systemctl try-restart 'gatepost-*.service'; fi
    echo 'install: the programs from before the last upgrade are back; the same again undoes that.'
}

packages() {
    needed='python3-venv libarchive13'
    case " ${services:-} " in *broker* | *all*) needed="$needed rabbitmq-server" ;; esac
    case " ${services:-} " in *content* | *all*) needed="$needed clamav-daemon clamav-freshclam rspamd" ;; esac
    missing=''
    for package in $needed; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    echo "install: Debian packages:$missing"
    # shellcheck disable=SC2086  # a list of words
    apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends $missing
    # A clamd that was here before is left as it is, for others may use it; `gatepost doctor` says what it lacks.
    case $missing in *clamav-daemon*) have_clamd_tell ;; esac
}

have_clamd_tell() {
    conf=/etc/clamav/clamd.conf
    printf '\n# Gatepost: no OK to what clamd cannot look into; the policy decides about that.\n' >>"$conf"
    printf '%s yes\n' AlertExceedsMax AlertEncryptedArchive AlertEncryptedDoc >>"$conf"
    # Without signatures it does not run yet.
    if systemd; then systemctl try-restart clamav-daemon; fi
}

# What the programs are made of; where nothing of it changed, they stay.
stamp() {
    (cd "$here" && find requirements.lock pyproject.toml README.md services shared infra/systemd -type f ! -name '*.pyc' \
        -exec sha256sum {} + | sort | sha256sum)
}

programs() {
    new=$(stamp)
    if [ -x "$opt/bin/python" ] && [ "$(cat "$opt/share/gatepost/stamp" 2>/dev/null)" = "$new" ]; then
        return 0
    fi
    echo "install: programs into $opt (a minute or two)"
    rm -rf "$opt.new"
    mkdir -p "$prefix/opt" "$prefix/usr/local/bin"
    "$python" -m venv "$opt.new"
    pip="$opt.new/bin/pip install --quiet --disable-pip-version-check --use-pep517"
    $pip --require-hashes -r "$here/requirements.lock"
    # From a copy: building leaves folders behind, which do not belong into the source.
    source=$(mktemp -d)
    cp -R "$here/services" "$here/shared" "$here/pyproject.toml" "$here/README.md" "$source"
    $pip --no-deps --no-build-isolation "$source"
    rm -rf "$source"
    # The programs name their own place, which is /opt/gatepost from the next lines on.
    grep -rlIF "$opt.new" "$opt.new/bin" "$opt.new/pyvenv.cfg" | xargs -r sed -i "s|$opt.new|/opt/gatepost|g"
    mkdir -p "$opt.new/share/gatepost" "$opt.new/share/doc/gatepost"
    cp "$here/infra/systemd/README.md" "$opt.new/share/doc/gatepost/"
    cp "$here/infra/systemd/certificate-hook.sh" "$opt.new/share/gatepost/certificate-hook"
    chmod 755 "$opt.new/share/gatepost/certificate-hook"
    printf '%s\n' "$new" >"$opt.new/share/gatepost/stamp"
    rm -rf "$opt.old"
    if [ -d "$opt" ]; then mv "$opt" "$opt.old"; fi
    mv "$opt.new" "$opt"
    ln -sf /opt/gatepost/bin/gatepost "$prefix/usr/local/bin/gatepost"
}

case $action in
uninstall) uninstall ;;
roll-back) roll_back ;;
install)
    if [ -z "$prefix" ]; then packages; fi
    programs
    cd "$here"
    PYTHONDONTWRITEBYTECODE=1 exec "$opt/bin/python" -m infra.systemd.install "$@"
    ;;
esac
