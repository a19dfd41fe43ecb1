/** The digest under the pointer: every place that shows the same one lights up. */
class Lit {
  digest = $state<string | null>(null);
}

export const lit = new Lit();
