#!/usr/bin/env bash
# A Slurm of one node on this machine, for the tests marked `slurm`. Needs root, slurm-wlm and munge (Debian's names).
#   tests/cluster/slurm.sh up | down
# Partitions: main (default), and closed, which only the account `insiders` may use. It replaces /etc/slurm/slurm.conf.
set -euo pipefail
down() {
  for file in /run/slurmctld.pid /run/slurmd.pid /run/munge/munged.pid; do
    if [ -s "$file" ]; then kill "$(cat "$file")" 2>/dev/null || true; fi
  done
}
up() {
  local host memory cores
  host=$(hostname -s)
  cores=$(nproc --all)
  memory=$(($(awk '/MemTotal/{print $2}' /proc/meminfo) / 1024 * 9 / 10))
  mkdir -p /var/spool/slurmctld /var/spool/slurmd /var/log/slurm /run/munge /etc/slurm
  cat > /etc/slurm/slurm.conf <<CONF
ClusterName=seisflow
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=$((memory / cores))
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,bf_interval=2,sched_interval=2
ReturnToService=2
SlurmdParameters=config_overrides
StateSaveLocation=/var/spool/slurmctld
SlurmdSpoolDir=/var/spool/slurmd
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
SlurmctldLogFile=/var/log/slurm/slurmctld.log
SlurmdLogFile=/var/log/slurm/slurmd.log
SlurmctldTimeout=30
SlurmdTimeout=30
InactiveLimit=0
KillWait=5
MinJobAge=300
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cores Boards=1 SocketsPerBoard=1 CoresPerSocket=$cores ThreadsPerCore=1 RealMemory=$memory State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
PartitionName=closed Nodes=$host MaxTime=60 State=UP AllowAccounts=insiders
CONF
  chown munge:munge /run/munge
  [ -S /run/munge/munge.socket.2 ] || runuser -u munge -- /usr/sbin/munged
  slurmctld
  slurmd
  for _ in $(seq 50); do
    if sinfo -h -o '%T' 2>/dev/null | grep -q idle; then break; fi
    sleep 0.2
  done
  sinfo
}
case "${1:-}" in
  up) up ;;
  down) down ;;
  *) echo "usage: $0 up | down" >&2; exit 2 ;;
esac
