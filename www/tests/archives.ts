/** Image archives of every kind, made here: OCI layouts, docker archives, with what is wrong in them on request. */
import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { tar, type Entry } from './tar';

export const sha256 = (bytes: Buffer | string) =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

export interface Image {
  name?: string;
  architecture?: string;
  /** Bottom first. */
  layers: Entry[][];
  history?: object[];
  config?: object;
  annotations?: Record<string, string>;
}

interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
  [field: string]: unknown;
}

const TYPE = 'application/vnd.oci.image';

export class Layout {
  readonly blobs = new Map<string, Buffer>();

  add(mediaType: string, body: Buffer | object, more: object = {}): Descriptor {
    const bytes = Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
    const digest = sha256(bytes);
    this.blobs.set(digest, bytes);
    return { mediaType, digest, size: bytes.length, ...more };
  }

  /** A manifest with all that it stands on. */
  image({ architecture = 'amd64', layers, history, config, annotations, name }: Image): Descriptor {
    const tars = layers.map(tar);
    const described = tars.map((bytes) => this.add(`${TYPE}.layer.v1.tar+gzip`, gzipSync(bytes)));
    const body = {
      architecture,
      os: 'linux',
      config: { Cmd: ['/bin/show'], ...config },
      rootfs: { type: 'layers', diff_ids: tars.map(sha256) },
      history: history ?? layers.map((_, i) => ({ created_by: `COPY layer-${i} / # buildkit` })),
    };
    const manifest = {
      schemaVersion: 2,
      mediaType: `${TYPE}.manifest.v1+json`,
      config: this.add(`${TYPE}.config.v1+json`, body),
      layers: described,
      ...(annotations ? { annotations } : {}),
    };
    return this.add(manifest.mediaType, manifest, {
      platform: { os: 'linux', architecture },
      ...(name ? { annotations: { 'io.containerd.image.name': name } } : {}),
    });
  }

  /** The files of the layout, by path. */
  files(manifests: Descriptor[]): Map<string, Buffer> {
    const index = { schemaVersion: 2, mediaType: `${TYPE}.index.v1+json`, manifests };
    return new Map([
      ['oci-layout', Buffer.from('{"imageLayoutVersion":"1.0.0"}')],
      ['index.json', Buffer.from(JSON.stringify(index))],
      ...[...this.blobs].map(([digest, bytes]) => [`blobs/${digest.replace(':', '/')}`, bytes] as const),
    ]);
  }
}

export function tarOfFiles(files: Map<string, Buffer>): Buffer {
  return tar([...files].map(([name, data]) => ({ name, data })));
}

/** An OCI layout in a tar; every image is one manifest of its index. */
export function ociArchive(images: Image[], spoil: (layout: Layout) => void = () => {}): Buffer {
  const layout = new Layout();
  const manifests = images.map((image) => layout.image(image));
  spoil(layout);
  return tarOfFiles(layout.files(manifests));
}

/** What `docker save` wrote before it knew the OCI: `manifest.json`, a config, and layers as plain tars. */
export function dockerArchive({ name = 'old:1', architecture = 'amd64', layers }: Image): Buffer {
  const tars = layers.map(tar);
  const config = Buffer.from(
    JSON.stringify({
      architecture,
      os: 'linux',
      config: { Cmd: ['/bin/show'] },
      rootfs: { type: 'layers', diff_ids: tars.map(sha256) },
      history: layers.map(() => ({ created_by: '/bin/sh -c #(nop) ADD file:0 in / ' })),
    }),
  );
  const Config = `${sha256(config).slice(7)}.json`;
  const paths = tars.map((bytes) => `${sha256(bytes).slice(7)}/layer.tar`);
  const manifest = Buffer.from(JSON.stringify([{ Config, RepoTags: [name], Layers: paths }]));
  return tarOfFiles(
    new Map([
      [Config, config],
      ...tars.map((bytes, i) => [paths[i]!, bytes] as const),
      ['manifest.json', manifest],
    ]),
  );
}

/** Two layers with a change, a whiteout and something new: as much as a test needs to look at. */
export const LAYERS: Entry[][] = [
  [
    { name: './', type: '5' },
    { name: './etc/', type: '5' },
    { name: './etc/hosts', data: '127.0.0.1 localhost\n' },
    { name: './etc/motd', data: 'welcome\n' },
    { name: './bin/', type: '5' },
    { name: './bin/show', data: '\x7fELF and so on', mode: 0o755 },
    { name: './bin/sh', type: '2', link: 'show' },
  ],
  [
    { name: './', type: '5' },
    { name: './etc/', type: '5' },
    { name: './etc/hosts', data: '127.0.0.1 changed\n', mtime: 1735689700 },
    { name: './etc/.wh.motd' },
    { name: './srv/', type: '5' },
    { name: './srv/data', data: Buffer.alloc(5000, 7), pax: { 'SCHILY.xattr.user.note': 'by hand' } },
  ],
];
