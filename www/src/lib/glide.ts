/** Things that change places glide there from where they were. */
export type Places = Map<Element, number>;

export function placesOf(list: HTMLElement | undefined): Places {
  return new Map([...(list?.children ?? [])].map((child) => [child, child.getBoundingClientRect().top]));
}

export function glide(before: Places, duration: number): void {
  for (const [child, top] of before) {
    if (!child.isConnected) continue;
    const moved = top - child.getBoundingClientRect().top;
    if (moved !== 0)
      child.animate([{ transform: `translateY(${moved}px)` }, {}], { duration, easing: 'ease-out' });
  }
}
