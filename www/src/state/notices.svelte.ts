/** Short messages at the edge of the page. They say what happened; what went wrong stays until dismissed. */
export interface Notice {
  id: number;
  text: string;
  bad: boolean;
}

class Notices {
  list = $state<Notice[]>([]);
  #next = 1;

  say(text: string, bad = false): void {
    const notice = { id: this.#next++, text, bad };
    this.list = [...this.list.slice(-2), notice];
    if (!bad) setTimeout(() => this.dismiss(notice.id), 8000);
  }

  dismiss(id: number): void {
    this.list = this.list.filter((notice) => notice.id !== id);
  }
}

export const notices = new Notices();
