/**
 * The documents and blobs of what is in hand, as a graph: of an opened archive as the core tells it, of an
 * image made here as it is going to be written.
 */
import type { DocumentName, GraphNode, ImageView } from '../core/protocol';
import { selection } from './selection.svelte';
import { session } from './session.svelte';

export interface Node extends GraphNode {
  /** Of an image made here: what it is called there. */
  document: DocumentName | null;
}

class GraphState {
  nodes = $state.raw<Node[]>([]);
  ready = $state(false);
  #children = $derived.by(() => {
    const children = new Map<number | null, Node[]>();
    for (const node of this.nodes) {
      const siblings = children.get(node.parent);
      if (siblings) siblings.push(node);
      else children.set(node.parent, [node]);
    }
    return children;
  });
  #asking = false;
  #again = false;

  /** Call in an effect. Digests are verified while it is shown, so it is asked for again and again. */
  load(): void {
    const archive = session.archive;
    void session.overview;
    if (archive === null) {
      this.nodes = session.image ? nodesOf(session.image) : [];
      this.ready = true;
    } else void this.#ask(archive.id);
  }

  async #ask(archive: number): Promise<void> {
    if (this.#asking) return void (this.#again = true);
    this.#asking = true;
    do {
      this.#again = false;
      const graph = await session.client.query({ query: 'graph', archive }).catch(() => null);
      if (session.archive?.id !== archive) break;
      this.nodes = graph?.nodes.map((node) => ({ ...node, document: null })) ?? [];
      this.ready = true;
    } while (this.#again);
    this.#asking = false;
    if (session.archive?.id !== archive) this.load();
  }

  childrenOf(node: Node | null): Node[] {
    return this.#children.get(node?.node ?? null) ?? [];
  }

  parentOf(node: Node): Node | null {
    return this.nodes.find((other) => other.node === node.parent) ?? null;
  }

  /** The node in hand: the chosen one, else the document of the image in hand that was asked for. */
  get chosen(): Node | null {
    const { node, document } = selection.place;
    const image = session.image?.id ?? null;
    const its = (kind: Node['kind']) =>
      this.nodes.find(
        (one) => one.kind === kind && (one.image === image || this.parentOf(one)?.image === image),
      );
    return (
      this.nodes.find((one) => one.document === null && one.node === node) ??
      this.nodes.find((one) => one.document === document) ??
      (document === 'config' || document === 'manifest' ? its(document) : undefined) ??
      its('manifest') ??
      this.nodes[0] ??
      null
    );
  }
}

/** Where to go to see a node. */
export function placeOf(node: Node) {
  return node.document ? { document: node.document } : { node: node.node };
}

function nodesOf(image: ImageView): Node[] {
  const nodes: Node[] = [];
  const add = (
    kind: Node['kind'],
    parent: Node | null,
    pointer: string,
    more: Partial<Node> & { known?: { digest: string; size: number } | null },
  ): Node => {
    const { known = null, ...rest } = more;
    const node: Node = {
      node: nodes.length,
      parent: parent?.node ?? null,
      pointer,
      kind,
      media_type: '',
      digest: known?.digest ?? null,
      size: known?.size ?? null,
      actual: known?.digest ?? null,
      state: known ? 'verified' : 'unverified',
      platform: null,
      names: [],
      annotations: {},
      image: null,
      layer: null,
      reused: false,
      problems: 0,
      document: null,
      ...rest,
    };
    nodes.push(node);
    return node;
  };
  const document = (name: DocumentName) => ({ document: name, known: image.documents[name] });
  const type = (name: string) => `application/vnd.oci.image.${name}.v1+json`;
  const index = add('index', null, '', { ...document('index'), media_type: type('index') });
  const manifest = add('manifest', index, '/manifests/0', {
    ...document('manifest'),
    media_type: type('manifest'),
    image: image.id,
    names: [image.reference.familiar],
  });
  add('config', manifest, '/config', { ...document('config'), media_type: type('config') });
  image.layers.forEach(({ id, blob }, i) => {
    const known = blob.state === 'known' ? blob : null;
    add('layer', manifest, `/layers/${i}`, { known, media_type: known?.media_type ?? '', layer: id });
  });
  add('docker_manifest', null, '', { ...document('manifest.json'), media_type: 'application/json' });
  add('other', null, '', { ...document('oci-layout'), media_type: 'application/json' });
  return nodes;
}

export const graph = new GraphState();
