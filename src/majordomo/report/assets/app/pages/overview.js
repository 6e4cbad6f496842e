// What was spent, on what, and how that moved against the time before.
import { html } from "../ui.js";
import { Asked } from "../parts/asked.js";
import { Figures } from "../overview/figures.js";
import { TopList } from "../overview/top_list.js";

export default function Overview({ query }) {
  return html`
    <${Asked} title="Overview" query=${query} />
    <div class="grid">
      <${Figures} query=${query} />
      <${TopList} query=${query} name="left" of=${["model", "provider"]} />
      <${TopList} query=${query} name="right" of=${["key"]} metadata />
    </div>
  `;
}
