"""How the stages of a scan run: `local` on this machine. An engine yields shard outcomes and writes nothing."""
