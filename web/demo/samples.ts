/** Words that the page begins with. The field names are those of the film list, blanks included. */

/** A query that one click fills in. */
export interface Example {
  readonly label: string;
  readonly query: string;
}

export const EXAMPLES: readonly Example[] = [
  { label: "Great dramas", query: '{ "IMDB Rating": { $gte: 8 }, "Major Genre": "Drama" }' },
  { label: "Spielberg", query: '{ Director: "Steven Spielberg" }' },
  {
    label: "Short comedies",
    query: '{ "Major Genre": { $in: ["Comedy", "Romantic Comedy"] },\n  "Running Time min": { $lt: 95 } }',
  },
  {
    label: "Critics disagree",
    query:
      '{ $or: [\n  { "IMDB Rating": { $gte: 7.5 }, "Rotten Tomatoes Rating": { $lt: 50 } },\n  { "IMDB Rating": { $lt: 5 }, "Rotten Tomatoes Rating": { $gte: 70 } }\n] }',
  },
  { label: "Star in the title", query: "{ Title: /\\bstar\\b/i }" },
  {
    label: "From the nineties",
    query: '{ "Release Date": { $regex: "199\\\\d$" }, "IMDB Votes": { $gt: 100000 } }',
  },
  { label: "Not films", query: "{ Title: { $exists: false } }" },
  { label: "Everything", query: "{}" },
];

export const FIRST_QUERY = '{ "IMDB Rating": { $gte: 8 } }';

export const FIRST_DOCUMENT = `{
  "Title": "Ran",
  "Director": "Akira Kurosawa",
  "Major Genre": "Drama",
  "Release Date": "Jun 01 1985",
  "Running Time min": 162,
  "IMDB Rating": 8.2
}`;

export const SAMPLE = `{
  "Title": "Cop Land",
  "Director": "James Mangold",
  "Major Genre": "Drama",
  "Release Date": "Aug 15 1997",
  "Running Time min": 105,
  "IMDB Rating": 6.9,
  "Rotten Tomatoes Rating": 71
}`;
