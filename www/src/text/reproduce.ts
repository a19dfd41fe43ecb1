/** The article's command, with the two conditions that make it print what this page prints. */
export const SAME_TAR = `umask 022
TZ=UTC tar -C base --sort=name --mtime="2025-01-01 00:00:00" \\
  --owner=0 --group=0 --numeric-owner -cf - . | sha256sum`;
