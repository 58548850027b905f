#!/bin/sh
# sbatch batchscribe.sh; submitted several times, one waits for the other, and each goes on where the one before ended.
# --yes: whatever comes into the folder is sent. What it may cost is run.max_cost in batchscribe.toml.
#SBATCH --job-name=batchscribe
#SBATCH --dependency=singleton
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=2
#SBATCH --mem=1G
#SBATCH --time=24:00:00
#SBATCH --requeue
# A minute before the time is over: it ends within 30 s, and open batches go on without this node.
#SBATCH --signal=B:TERM@60
#SBATCH --output={log}

exec {command}
