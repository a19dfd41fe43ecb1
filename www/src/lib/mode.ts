/** Permissions both ways: as a number, in octal, and as `-rwxr-xr-x` with setuid, setgid and sticky. */
const LETTERS: Record<string, string> = {
  file: '-',
  directory: 'd',
  symlink: 'l',
  char_device: 'c',
  block_device: 'b',
  fifo: 'p',
};

export function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}

/** `755`, `0755`, `0o4755`: null when it is no mode. */
export function parseOctal(text: string): number | null {
  const match = /^(?:0o)?([0-7]{1,5})$/.exec(text.trim());
  const mode = match ? parseInt(match[1]!, 8) : NaN;
  return mode <= 0o7777 ? mode : null;
}

export function rwx(mode: number, kind = 'file'): string {
  const triple = (shift: number, special: boolean, letter: string) => {
    const bits = mode >> shift;
    const x = bits & 1 ? (special ? letter : 'x') : special ? letter.toUpperCase() : '-';
    return `${bits & 4 ? 'r' : '-'}${bits & 2 ? 'w' : '-'}${x}`;
  };
  return (
    (LETTERS[kind] ?? '?') +
    triple(6, (mode & 0o4000) !== 0, 's') +
    triple(3, (mode & 0o2000) !== 0, 's') +
    triple(0, (mode & 0o1000) !== 0, 't')
  );
}
