/** Lines to try at the machine's prompt, in the order in which the article comes to them. */
export interface Tried {
  title: string;
  lines: { line: string; says: string }[];
}

const DISK = '/var/lib/containerd';
const SNAPSHOTS = `${DISK}/io.containerd.snapshotter.v1.overlayfs/snapshots`;

/** For an archive in /root, and the image in it by its whole name. */
export function linesToTry(archive: string, image: string): Tried[] {
  return [
    {
      title: 'Import',
      lines: [
        { line: 'ls -l', says: 'the archives of the session, to be imported' },
        { line: `ctr images import ${archive}`, says: 'its blobs, its name, its layers unpacked' },
        { line: 'ctr images ls', says: 'the names that containerd knows' },
      ],
    },
    {
      title: 'Content store',
      lines: [
        { line: 'ctr content ls', says: 'every blob, with the labels that hold them together' },
        {
          line: `ls ${DISK}/io.containerd.content.v1.content/blobs/sha256`,
          says: 'the same on the disk: files named by their digests',
        },
      ],
    },
    {
      title: 'Snapshots',
      lines: [
        { line: 'ctr snapshots ls', says: 'one for each layer, with its parent' },
        { line: 'ctr snapshots tree', says: 'who stands on whom' },
        { line: `ls ${SNAPSHOTS}`, says: 'their directories, by numbers' },
        { line: `ls -l ${SNAPSHOTS}/*/fs`, says: 'the layers unpacked' },
        {
          line: `for snap in $(ls ${SNAPSHOTS}); do echo "--- $snap"; ls ${SNAPSHOTS}/$snap/fs; done`,
          says: 'the article’s loop over them',
        },
        { line: `ls -l ${SNAPSHOTS}/2/fs/data`, says: 'a whiteout is a character device 0, 0' },
        { line: `cat ${SNAPSHOTS}/1/fs/hello.txt`, says: 'the base’s file, still there' },
      ],
    },
    {
      title: 'Run',
      lines: [
        {
          line: `ctr run --rm ${image} once ls /`,
          says: 'a program in a container, which goes with it',
        },
        {
          line: `ctr run -d ${image} demo`,
          says: 'a container, with a shell of its own in the view Container',
        },
        {
          line: `ctr run --rm ${image} once cat /proc/1/mountinfo | grep overlay`,
          says: 'the line of its mount, as it sees it itself',
        },
        { line: 'ctr containers ls', says: 'the containers, and what they were made of' },
        { line: 'ctr tasks ls', says: 'those that run, and as which process' },
        { line: 'ctr snapshots mounts /mnt demo', says: 'how its root file system is mounted' },
      ],
    },
    {
      title: 'Away',
      lines: [
        { line: `ctr images rm ${image}`, says: 'the name, and with it what nothing else keeps' },
        { line: 'help', says: 'all commands' },
      ],
    },
  ];
}

/** A line without the long way to containerd's directories. */
export function brief(line: string): string {
  return line
    .replace(/\/var\/lib\/containerd\/io\.containerd\.[\w.]+\//g, '…/')
    .replace('docker.io/library/', '…/');
}

/** A word as a shell takes it for itself. */
function quoted(word: string): string {
  return /^[\w.\/:@%+=,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** The line that runs a container. The command is as it would be typed. */
export function runCommand(run: {
  namespace: string;
  image: string;
  id: string;
  command: string;
  removes: boolean;
  stays: boolean;
}): string {
  const words = ['ctr'];
  if (run.namespace !== 'default') words.push('-n', quoted(run.namespace));
  words.push('run');
  if (run.removes) words.push('--rm');
  if (run.stays) words.push('-t');
  words.push(quoted(run.image), quoted(run.id));
  return [...words, run.command.trim()].join(' ').trim();
}
