// Sections of the page, each of which is asked for again and again, and what is said where that fails.

import { Failure } from "./dashboard-api.js";
import { find } from "./dashboard-elements.js";

export const needsKey = () => !find("#login").hidden;

// A section is drawn anew where its answer has changed, so that the focus stays. `draw` returns what is said in its
// place, if anything.
export class Panel {
  #load;
  #draw;
  #drawn = "";

  constructor(selector, load, draw) {
    this.section = find(selector);
    this.#load = load;
    this.#draw = draw;
  }

  async refresh() {
    try {
      const answer = await this.#load();
      const text = JSON.stringify(answer);
      if (text === this.#drawn) return;
      this.say(this.#draw(this.section, answer) ?? "");
      this.#drawn = text;
    } catch (error) {
      this.say(explain(error));
      this.forget();
    }
  }

  // Have the next answer drawn, whatever it is.
  forget() {
    this.#drawn = "";
  }

  say(text) {
    this.section.querySelector(".note").textContent = text;
  }
}

// What the user is told of a failure; the form for the key is shown where that is what is missing.
export function explain(error) {
  if (!(error instanceof Failure)) {
    console.error(error);
    return `The server's answer cannot be shown: ${error.message}`;
  }
  if (error.isUnauthorized && !needsKey()) {
    find("#login").hidden = false;
    find("main").hidden = true;
    find("#state").textContent = error.message;
    find("#key").focus();
  }
  return error.message;
}
