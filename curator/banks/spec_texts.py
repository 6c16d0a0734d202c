"""The bank specs that come with curator: the one that `curator init` writes, and the published recipes by name.

`base` is mined from words for what a photograph can show. Of NegLabel's corpus, 24 noun files and all adjectives, most
cannot be seen: acts, states, quantities, places by name, `able`. A published recipe becomes a file of the workspace
when its bank is first built.
"""

from __future__ import annotations

DEFAULT_SPEC = """\
# A label bank: what belongs, and which words stand for everything else.
name = "base"

[id]
labels = "labels.txt"      # a file beside curator.toml, one label a line; or a list: ["tram", "sea horse"]
# bank = "other"           # instead of labels: the ID labels of another bank, or of one version: other@<digest>
template = "nice"          # nice: "The nice {}." · photo: "a photo of a {}." · plain: "{}" · or your own with {}
                           # csp: the mean of 8 templates · or your own list of templates
# synonyms = { tram = ["streetcar"] }   # other names of a label, kept out of the negatives
# repeats = true           # a label may stand twice in the file, and then counts twice, as in published lists

[negatives.wordnet]        # may be left out where there are lists or banks
parts_of_speech = ["noun", "adjective"]      # a word that is both belongs to the part named first
words = "first"                              # first: one word per concept, as published · all: every synonym
include = [                                  # WordNet's lexicographer files; [] for all but those of `exclude`
  "noun.animal", "noun.artifact", "noun.body", "noun.food", "noun.object", "noun.person", "noun.phenomenon",
  "noun.plant", "noun.substance", "adj.all",
]
exclude = []                                 # as published: include = [], exclude = ["noun.animal", "noun.food"]
noun_template = "nice"
adjective_template = "adjective"             # "This is a {} photo."
adjectives = "looks"                         # those of colour, pattern and texture · all
# superclasses = ["scene", "object"]         # one of these behind each adjective, drawn by `seed`, as CSP does
# seed = 0

# [[negatives.lists]]      # words of your own; any number of such tables
# file = "words.txt"       # one word a line; or words = ["graffiti", "screenshot"]
# part_of_speech = "noun"  # or adjective
# template = "nice"
# mine = false             # false: all become negatives · true: candidates of the mining below

# [[negatives.banks]]      # the negatives of another bank, with their prompts; any number of such tables
# bank = "other"           # its newest version, or one version: other@<digest>
# mine = false

[mining]
method = "neglabel"        # or csp. What this file leaves out is then as the method's authors have it
fraction = 0.15            # of each part of speech, those least similar to the ID labels
# limit = 10000            # instead of fraction: so many in all; 0 for none
quantile = 0.95            # similarity to the ID labels is this quantile of the cosines
statistic = "linear"       # linear: interpolated, as published · order: the sorted value at quantile * labels
order = "nouns_first"      # or adjectives_first
remove_id_names = true     # no negative that names an ID label · "exact": only equal texts · false: as published
remove_proper_nouns = true     # no candidate that WordNet knows as a name alone
remove_subcategories = true    # no candidate that WordNet knows as a kind of an ID label, as NegRefine has it
# exclude_above = 0.95     # nor one with a higher cosine to any ID label, as CSP has it
# remove_labels = ["word"] # nor these, from whatever source: see `curator bank propose`
# keep_labels = ["name"]   # these in spite of the rules: see `curator bank audit --left-out`
# refine = true            # `curator bank build` asks the reasoner which of the chosen are names or kinds of ID labels
"""

PUBLISHED_SPECS = {
    "neglabel-paper": """\
# NegLabel as published (Jiang et al., ICLR 2024): all nouns but animals and food, all adjectives, and no regard for
# names of ID labels.
name = "neglabel-paper"
[id]
labels = "labels.txt"
[mining]
method = "neglabel"
remove_id_names = false
""",
    "csp-paper": """\
# CSP as published (Chen et al., NeurIPS 2024): ensembles of templates, adjectives with superclasses, nothing above
# cosine 0.95 to an ID label.
name = "csp-paper"
[id]
labels = "labels.txt"
[mining]
method = "csp"
remove_id_names = false
""",
}
