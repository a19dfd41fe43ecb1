/**
 * What comes in from this computer, and what it is: an image opens, a layer is asked about, and everything
 * else goes into a layer as files.
 */
import type { ArchiveFiles, ArchiveView, LayerId, Path } from '../core/protocol';
import { byteText } from '../lib/byte-text';
import { count } from '../lib/bytes';
import type { Dropped } from '../lib/drop';
import { layoutIn, looksLikeTar } from '../lib/sniff';
import { FORMATS } from '../text/formats';
import { addLayerFromTar, attempt } from './actions';
import { notices } from './notices.svelte';
import { reading, STOPPED } from './reading.svelte';
import { selection } from './selection.svelte';
import { refusal, session } from './session.svelte';
import { takeFiles } from './take-files';

/** Where it was dropped, if that was a place that takes files. */
export type Into = { layer: LayerId; path: Path } | null;

class Opening {
  async bring(dropped: Dropped[], into: Into): Promise<void> {
    const layout = layoutIn(dropped);
    if (layout && (await this.#folder(layout.name, layout.files))) return;
    const tars: File[] = [];
    const files: Dropped[] = [];
    for (const one of dropped) {
      // Tars in a folder are files of it.
      if (one.file && !one.path.includes('/') && (await looksLikeTar(one.file))) tars.push(one.file);
      else files.push(one);
    }
    for (const file of tars) await this.#tar(file, into);
    await this.#take(files, into);
  }

  async #folder(name: string, dropped: { path: string; file: File }[]): Promise<boolean> {
    const files = [];
    for (const { path, file } of dropped) {
      const content = { source: await session.openSource(file), offset: 0, length: file.size };
      files.push({ path: byteText(path), content });
    }
    const found = await this.#lookAt(name, { files });
    if (found === 'files') return false;
    if (found) await this.#open(name, { files });
    return true;
  }

  async #tar(file: File, into: Into): Promise<void> {
    const from = {
      content: { source: await session.openSource(file), offset: 0, length: file.size },
    };
    const found = await this.#lookAt(file.name, from);
    if (found === null) return;
    if (found === 'files') return this.#take([{ path: file.name, file }], into);
    if (found !== 'layer' && !into) return this.#open(file.name, from);
    await this.#ask(file, from, found, into);
  }

  /** Reads it as far as it takes to know what it is; null when it was stopped or cannot be read. */
  async #lookAt(name: string, from: ArchiveFiles): Promise<ArchiveView['format'] | 'files' | null> {
    const call = (what: ArchiveFiles | null) => session.client.call({ kind: 'open_ahead', from: what });
    try {
      const found = await reading.read(
        name,
        () => call(from),
        () => call(null),
      );
      return found === STOPPED ? null : (found?.format ?? 'oci');
    } catch (error) {
      const { code, message } = refusal(error);
      if (code === 'not_an_archive') return 'files';
      notices.say(`${name}: ${message}`, true);
      return null;
    }
  }

  async #ask(file: File, from: ArchiveFiles, found: ArchiveView['format'], into: Into): Promise<void> {
    const layer = session.layer(into?.layer ?? selection.layer);
    const image = session.image;
    const single = found === 'layer';
    const choices = [
      {
        label: single ? 'Open it as an image of one layer' : 'Open it',
        says: single ? 'To look inside.' : 'Its images stand beside those that are open.',
        run: () => this.#open(file.name, from),
      },
    ];
    if (single && image)
      choices.push({
        label: `Add it as a layer on top of ${image.reference.familiar}`,
        says: 'Its bytes stay as they are until you edit it.',
        run: () => addLayerFromTar(file),
      });
    if (layer)
      choices.push({
        label: `Put the file into ${layer.name}`,
        says: 'As it is, not unpacked.',
        run: () => this.#take([{ path: file.name, file }], into),
      });
    const text = `${file.name} is ${single ? 'a tar that is no image.' : `${FORMATS[found]}.`}`;
    const chosen = await reading.ask({ text, choices });
    if (chosen !== null) await choices[chosen]!.run();
  }

  async #open(name: string, from: ArchiveFiles): Promise<void> {
    const archive = session.ids.archive();
    const [first_image, first_layer] = [session.ids.image(), session.ids.layer()];
    const done = await attempt({ op: 'open_archive', archive, name, from, first_image, first_layer });
    const view = session.overview?.archives.find(({ id }) => id === archive);
    if (!done || !view) return;
    const [image] = view.images;
    if (image === undefined) selection.go({ archive, view: 'documents', page: 'stage' });
    else selection.go({ image, archive: null, page: 'stage' });
    const problems = view.errors + view.warnings;
    notices.say(
      `${name} is ${FORMATS[view.format]} with ${count(view.images.length, 'image')}.` +
        (problems ? ` ${count(problems, 'problem')} in its documents: see Check.` : ''),
    );
  }

  async #take(files: Dropped[], into: Into): Promise<void> {
    const layer = into?.layer ?? selection.layer;
    if (files.length === 0) return;
    if (layer === null) notices.say('There is no layer to take files into.', true);
    else await takeFiles(layer, into?.path ?? '/', files);
  }
}

export const opening = new Opening();
