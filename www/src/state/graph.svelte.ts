/**
 * The documents and blobs of what is in hand, as a graph: of an opened archive as the core tells it, of an
 * image made here as it is going to be written.
 */
import type { DocumentName, Graph, GraphNode, LayerId } from '../core/protocol';
import { madeGraph } from './made-graph';
import { selection } from './selection.svelte';
import { session } from './session.svelte';

export interface Node extends GraphNode {
  /** Of an image made here: what it is called there. */
  document: DocumentName | null;
}

/** A node where it is named: a blob that two manifests share stands under both. */
export interface Use {
  node: Node;
  /** Where in the document above. */
  pointer: string;
  platform: string | null;
  above: Use | null;
}

class GraphState {
  #graph = $state.raw<{ nodes: Node[]; links: Graph['links'] }>({ nodes: [], links: [] });
  ready = $state(false);
  #byNumber = $derived(new Map(this.#graph.nodes.map((node) => [node.node, node])));
  #links = $derived.by(() => {
    const links = new Map<number, Graph['links']>();
    for (const link of this.#graph.links) {
      const others = links.get(link.from);
      if (others) others.push(link);
      else links.set(link.from, [link]);
    }
    return links;
  });
  #asking = false;
  #again = false;

  get nodes(): Node[] {
    return this.#graph.nodes;
  }

  /** Call in an effect. Digests are verified while it is shown, so it is asked for again and again. */
  load(): void {
    const archive = session.archive;
    void session.overview;
    if (archive === null) {
      this.#graph = session.image ? madeGraph(session.image) : { nodes: [], links: [] };
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
      const nodes = graph?.nodes.map((node) => ({ ...node, document: null })) ?? [];
      this.#graph = { nodes, links: graph?.links ?? [] };
      this.ready = true;
    } while (this.#again);
    this.#asking = false;
    if (session.archive?.id !== archive) this.load();
  }

  get roots(): Use[] {
    const door = ({ kind }: Node) => ['index', 'manifest', 'docker_manifest'].includes(kind);
    const roots = this.nodes.filter((node) => node.parent === null);
    // What leads to images comes first, marks and strays last.
    roots.sort((a, b) => Number(door(b)) - Number(door(a)));
    return roots.map((node) => ({ node, pointer: '', platform: node.platform, above: null }));
  }

  /** What a document names, each as often as it does. What stands above it is not shown below it again. */
  usesIn(use: Use): Use[] {
    for (let above = use.above; above; above = above.above) if (above.node === use.node) return [];
    return (this.#links.get(use.node.node) ?? []).flatMap(({ to, pointer, platform }) => {
      const node = this.#byNumber.get(to);
      return node ? [{ node, pointer, platform, above: use }] : [];
    });
  }

  /** The nodes on a way from a root to this one, itself included: by the image in hand, if that is one. */
  wayTo(node: Node): Set<number> {
    const way = new Set<number>();
    for (let at: Node | undefined = node; at && !way.has(at.node);) {
      way.add(at.node);
      const to: number = at.node;
      const links = this.#graph.links.filter((link) => link.to === to);
      const own = links.find((link) => this.#byNumber.get(link.from)?.image === session.image?.id);
      const from = (own ?? links[0])?.from;
      at = from === undefined ? undefined : this.#byNumber.get(from);
    }
    return way;
  }

  /** The layer that a node is in the image that it is shown under. */
  layerOf({ node, above }: Use): LayerId | null {
    const image = session.images.find(({ id }) => id === above?.node.image);
    return image?.layers.find((layer) => layer.origin?.node === node.node)?.id ?? node.layer;
  }

  /** The node in hand: the chosen one, else the document of the image in hand that was asked for. */
  get chosen(): Node | null {
    const { node, document } = selection.place;
    const image = session.image?.id ?? null;
    const manifest = this.nodes.find((one) => one.image === image && one.kind === 'manifest');
    const its = (kind: Node['kind']) =>
      this.#graph.links
        .filter((link) => this.#byNumber.get(link.from)?.image === image)
        .map((link) => this.#byNumber.get(link.to))
        .find((one) => one?.kind === kind);
    return (
      this.nodes.find((one) => one.document === null && one.node === node) ??
      this.nodes.find((one) => one.document === document) ??
      (document === 'config' ? its('config') : undefined) ??
      (document === 'index' ? this.nodes.find((one) => one.kind === 'index') : undefined) ??
      manifest ??
      this.nodes.find((one) => one.image === image) ??
      this.nodes[0] ??
      null
    );
  }
}

/** Where to go to see a node. */
export function placeOf(node: Node) {
  return node.document ? { document: node.document } : { node: node.node };
}

export const graph = new GraphState();
