/** What a person prefers, kept in this browser. Storage may be refused; then it lasts as long as the page. */
type Theme = 'auto' | 'light' | 'dark';
type Times = 'pinned' | 'now';

function stored(key: string): string | null {
  try {
    return localStorage.getItem(`handroll.${key}`);
  } catch {
    return null;
  }
}

function store(key: string, value: string): void {
  try {
    localStorage.setItem(`handroll.${key}`, value);
  } catch {
    // A private window: nothing is kept.
  }
}

class Settings {
  theme = $state<Theme>((stored('theme') as Theme | null) ?? 'auto');
  times = $state<Times>((stored('times') as Times | null) ?? 'pinned');

  setTheme(theme: Theme): void {
    this.theme = theme;
    store('theme', theme);
    this.paint();
  }

  setTimes(times: Times): void {
    this.times = times;
    store('times', times);
  }

  paint(): void {
    document.documentElement.dataset.theme = this.theme;
  }
}

export const settings = new Settings();
