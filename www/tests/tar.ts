/** Tars written by hand, for what no tool would write too. */
export interface Entry {
  name: string | Buffer;
  /** 0 a file, 1 a hard link, 2 a symlink, 3 and 4 devices, 5 a directory, 6 a fifo. */
  type?: string;
  data?: string | Buffer;
  mode?: number;
  uid?: number;
  mtime?: number;
  link?: string | Buffer;
  device?: [major: number, minor: number];
  /** Records of a pax header in front of it. */
  pax?: Record<string, string | Buffer>;
}

const BLOCK = 512;

function padded(data: Buffer): Buffer {
  return Buffer.concat([data, Buffer.alloc((BLOCK - (data.length % BLOCK)) % BLOCK)]);
}

function header(entry: Entry, size: number, name: Buffer, link: Buffer): Buffer {
  const head = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, length: number) =>
    head.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at, 'latin1');
  name.copy(head, 0, 0, 100);
  octal(entry.mode ?? (entry.type === '5' ? 0o755 : 0o644), 100, 8);
  octal(entry.uid ?? 0, 108, 8);
  octal(0, 116, 8);
  octal(size, 124, 12);
  octal(entry.mtime ?? 1735689600, 136, 12);
  head.write('        ', 148, 'latin1');
  head.write(entry.type ?? '0', 156, 'latin1');
  link.copy(head, 157, 0, 100);
  head.write('ustar\x0000', 257, 'latin1');
  if (entry.device) {
    octal(entry.device[0], 329, 8);
    octal(entry.device[1], 337, 8);
  }
  const sum = head.reduce((total, byte) => total + byte, 0);
  head.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return head;
}

/** `LENGTH KEY=VALUE\n`, where the length counts itself. */
function record(key: string, value: string | Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value as Buffer), Buffer.from('\n')]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

function blocksOf(entry: Entry): Buffer {
  const data = Buffer.from((entry.data ?? '') as Buffer);
  const [name, link] = [Buffer.from(entry.name as Buffer), Buffer.from((entry.link ?? '') as Buffer)];
  const pax = { ...entry.pax };
  if (name.length > 100) pax.path = name;
  if (link.length > 100) pax.linkpath = link;
  const records = Buffer.concat(Object.entries(pax).map(([key, value]) => record(key, value)));
  const before =
    records.length === 0
      ? []
      : [
          header({ name: 'pax', type: 'x' }, records.length, Buffer.from('pax'), Buffer.alloc(0)),
          padded(records),
        ];
  return Buffer.concat([...before, header(entry, data.length, name, link), padded(data)]);
}

export function tar(entries: Entry[]): Buffer {
  return Buffer.concat([...entries.map(blocksOf), Buffer.alloc(2 * BLOCK)]);
}
