/** The 3,201 films of vega-datasets, and independent filters over them. */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = resolve(fileURLToPath(import.meta.url), "../../..");

export type Film = Readonly<Record<string, unknown>>;

export const FILM_FILE = join(ROOT, "node_modules/vega-datasets/data/movies.json");
export const FILMS: readonly Film[] = JSON.parse(readFileSync(FILM_FILE, "utf8"));

/** Queries, each with the same written by hand in JavaScript. */
export const QUESTIONS: readonly {
  readonly query: Film;
  readonly is: (film: Film) => boolean;
}[] = [
  {
    query: { "IMDB Rating": { $gte: 8 }, "Major Genre": "Drama" },
    is: (film) => Number(film["IMDB Rating"] ?? 0) >= 8 && film["Major Genre"] === "Drama",
  },
  {
    query: { $or: [{ Director: "Steven Spielberg" }, { "Running Time min": { $lt: 80 } }] },
    is: (film) =>
      film["Director"] === "Steven Spielberg" ||
      (typeof film["Running Time min"] === "number" && film["Running Time min"] < 80),
  },
  {
    query: { "Major Genre": { $in: ["Horror", "Comedy"] }, "US Gross": { $gt: 1_000_000 } },
    is: (film) =>
      ["Horror", "Comedy"].includes(String(film["Major Genre"])) && Number(film["US Gross"] ?? 0) > 1_000_000,
  },
];
