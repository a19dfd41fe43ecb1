/** What is wrong or unportable with the image in hand: asked for until the core has looked at everything. */
import type { Check, CheckFinding } from '../core/protocol';
import { session } from './session.svelte';

export interface Numbered extends CheckFinding {
  /** Its place in the core's list, which only grows while it looks. */
  number: number;
}

class CheckState {
  result = $state.raw<Check | null>(null);
  /** Why it could not be done. */
  failed = $state<string | null>(null);
  #run = 0;

  readonly findings = $derived<Numbered[]>(
    this.result?.findings.map((finding, number) => ({ ...finding, number })) ?? [],
  );

  of(severity: CheckFinding['severity']): Numbered[] {
    return this.findings.filter((finding) => finding.severity === severity);
  }

  /** Call in an effect: an edit asks anew. Give what it returns back, so that it ends with the view. */
  start(): () => void {
    const image = session.image?.id;
    void session.tick;
    const run = ++this.#run;
    this.failed = null;
    if (image === undefined) this.result = null;
    else void this.#ask(image, run);
    return () => void this.#run++;
  }

  async #ask(image: number, run: number): Promise<void> {
    try {
      for (;;) {
        const result = await session.client.query({ query: 'check', image });
        if (run !== this.#run) return;
        this.result = result;
        if (result.progress === null) return;
        // Other calls come in between, and the page draws.
        await new Promise((resume) => setTimeout(resume, 30));
      }
    } catch (error) {
      if (run === this.#run) this.failed = error instanceof Error ? error.message : String(error);
    }
  }
}

export const check = new CheckState();
