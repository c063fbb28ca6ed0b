#!/bin/sh
# What `make vagrant` does when all is installed: a VM by hand, then the same trials under both providers, compared.
# Without the variable SAMPLE all trials of the five steps; with it those that it selects, in the words of -k.
set -eu
bin=.venv/bin
# Points of the init that the five-step scenarios leave out, and points that both strike.
explored='tree and (write-base-1 or discard or rename or message)'
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
begin=$(date +%s)
stage() {
    echo
    echo "== $(($(date +%s) - begin)) s: $*"
}
./tools/vagrant-left.sh >"$work/before"

stage "the box"
box=$("$bin/crashinit" image box)
stage "a VM by hand"
"$bin/python" -m crashinit.machine.vagrant.libvirtd ./tools/vagrant-check.sh "$box"
stage "what machine/protocol.py promises, and how runs end"
CRASHINIT_TEST_VAGRANT=all "$bin/pytest" --all-turns tests/machine/vagrant/test_host_libvirt.py tests/machine/vagrant/test_libvirtd.py \
    tests/machine/vagrant/test_rundir.py tests/machine/vagrant/test_vagrant.py tests/machine/vagrant/test_runs.py
for provider in qemu vagrant; do
    stage "how a machine is provisioned, asked through testinfra: $provider"
    "$bin/pytest" -q scenarios/conditions/test_machine.py --crashinit-driver reference --crashinit-provider $provider
    stage "the five steps: $provider"
    "$bin/crashinit" run scenarios/steps --driver reference -n "${WORKERS:-2}" -k "${SAMPLE:-}" \
        --out reports/vagrant/steps-$provider --force --provider $provider
    stage "a sample of 'explore': $provider"
    "$bin/crashinit" explore --driver reference --fault kill -n "${WORKERS:-2}" -k "$explored" \
        --out reports/vagrant/explore-$provider --force --provider $provider
done
stage "both providers, trial by trial and clause by clause"
"$bin/crashinit" compare reports/vagrant/steps-qemu reports/vagrant/steps-vagrant
"$bin/crashinit" compare reports/vagrant/explore-qemu reports/vagrant/explore-vagrant

stage "what is left"
./tools/vagrant-left.sh | LC_ALL=C comm -13 "$work/before" - | tee "$work/left"
if [ -s "$work/left" ]; then
    echo "the lines above were left behind" >&2
    exit 1
fi
echo "nothing: no process, namespace, network, mount, file or domain. Both providers agree."
