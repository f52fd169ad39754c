/* The words of the synthetic suite: see synth_grammar.h for how rows pair up. */
#include "tasks/synth_grammar.h"

#define TABLE(kind, name, rows) const struct kind name = {rows, (int)(sizeof rows / sizeof *rows)}

const struct noun lex_wide[WIDES] = {
    [PERSON] = {"person", "people", "persones", PERSON},    [ANIMAL] = {"animal", "animals", NULL, ANIMAL},
    [VEHICLE] = {"vehicle", "vehicles", NULL, VEHICLE},     [FURNITURE] = {"thing", "things", NULL, FURNITURE},
    [GARMENT] = {"garment", "garments", NULL, GARMENT},     [OBJECT] = {"object", "objects", NULL, OBJECT},
};

static const struct noun animate[] = {
    {"doctor", "doctors", NULL, PERSON},   {"physician", "physicians", NULL, PERSON},
    {"child", "children", "childs", PERSON}, {"kid", "kids", NULL, PERSON},
    {"teacher", "teachers", NULL, PERSON}, {"instructor", "instructors", NULL, PERSON},
    {"lawyer", "lawyers", NULL, PERSON},   {"attorney", "attorneys", NULL, PERSON},
    {"thief", "thieves", "thiefs", PERSON}, {"robber", "robbers", NULL, PERSON},
    {"pupil", "pupils", NULL, PERSON},     {"student", "students", NULL, PERSON},
    {"writer", "writers", NULL, PERSON},   {"author", "authors", NULL, PERSON},
    {"sailor", "sailors", NULL, PERSON},   {"seaman", "seamen", "seamans", PERSON},
    {"woman", "women", "womans", PERSON},  {"lady", "ladies", "ladys", PERSON},
    {"man", "men", "mans", PERSON},        {"gentleman", "gentlemen", "gentlemans", PERSON},
    {"guard", "guards", NULL, PERSON},     {"watchman", "watchmen", "watchmans", PERSON},
    {"dog", "dogs", NULL, ANIMAL},         {"hound", "hounds", NULL, ANIMAL},
    {"rabbit", "rabbits", NULL, ANIMAL},   {"bunny", "bunnies", "bunnys", ANIMAL},
    {"pig", "pigs", NULL, ANIMAL},         {"hog", "hogs", NULL, ANIMAL},
    {"horse", "horses", NULL, ANIMAL},     {"steed", "steeds", NULL, ANIMAL},
    {"mouse", "mice", "mouses", ANIMAL},   {"rodent", "rodents", NULL, ANIMAL},
};
TABLE(nouns, lex_animate, animate);

static const struct noun things[] = {
    {"car", "cars", NULL, VEHICLE},        {"automobile", "automobiles", NULL, VEHICLE},
    {"boat", "boats", NULL, VEHICLE},      {"ship", "ships", NULL, VEHICLE},
    {"bicycle", "bicycles", NULL, VEHICLE}, {"bike", "bikes", NULL, VEHICLE},
    {"sofa", "sofas", NULL, FURNITURE},    {"couch", "couches", "couchs", FURNITURE},
    {"chair", "chairs", NULL, FURNITURE},  {"seat", "seats", NULL, FURNITURE},
    {"coat", "coats", NULL, GARMENT},      {"jacket", "jackets", NULL, GARMENT},
    {"hat", "hats", NULL, GARMENT},        {"cap", "caps", NULL, GARMENT},
    {"picture", "pictures", NULL, OBJECT}, {"image", "images", NULL, OBJECT},
    {"stone", "stones", NULL, OBJECT},     {"rock", "rocks", NULL, OBJECT},
    {"gift", "gifts", NULL, OBJECT},       {"present", "presents", NULL, OBJECT},
    {"knife", "knives", "knifes", OBJECT}, {"blade", "blades", NULL, OBJECT},
    {"prize", "prizes", NULL, OBJECT},     {"award", "awards", NULL, OBJECT},
};
TABLE(nouns, lex_things, things);

static const struct verb do_to_animate[] = {
    {"chase", "chases", "chased", "chased", NULL},       {"pursue", "pursues", "pursued", "pursued", NULL},
    {"help", "helps", "helped", "helped", NULL},         {"assist", "assists", "assisted", "assisted", NULL},
    {"rescue", "rescues", "rescued", "rescued", NULL},   {"save", "saves", "saved", "saved", NULL},
    {"frighten", "frightens", "frightened", "frightened", NULL}, {"scare", "scares", "scared", "scared", NULL},
    {"follow", "follows", "followed", "followed", NULL}, {"trail", "trails", "trailed", "trailed", NULL},
    {"greet", "greets", "greeted", "greeted", NULL},     {"welcome", "welcomes", "welcomed", "welcomed", NULL},
    {"feed", "feeds", "fed", "fed", "feeded"},           {"nourish", "nourishes", "nourished", "nourished", NULL},
    {"catch", "catches", "caught", "caught", "catched"}, {"capture", "captures", "captured", "captured", NULL},
    {"strike", "strikes", "struck", "struck", "striked"}, {"smack", "smacks", "smacked", "smacked", NULL},
    {"teach", "teaches", "taught", "taught", "teached"}, {"train", "trains", "trained", "trained", NULL},
};
TABLE(verbs, lex_do_to_animate, do_to_animate);

static const struct verb do_to_things[] = {
    {"buy", "buys", "bought", "bought", "buyed"},
    {"purchase", "purchases", "purchased", "purchased", NULL},
    {"fix", "fixes", "fixed", "fixed", NULL},
    {"repair", "repairs", "repaired", "repaired", NULL},
    {"break", "breaks", "broke", "broken", "breaked"},
    {"smash", "smashes", "smashed", "smashed", NULL},
    {"hide", "hides", "hid", "hidden", "hided"},
    {"conceal", "conceals", "concealed", "concealed", NULL},
    {"choose", "chooses", "chose", "chosen", "choosed"},
    {"select", "selects", "selected", "selected", NULL},
    {"find", "finds", "found", "found", "finded"},
    {"discover", "discovers", "discovered", "discovered", NULL},
    {"move", "moves", "moved", "moved", NULL},
    {"shift", "shifts", "shifted", "shifted", NULL},
    {"clean", "cleans", "cleaned", "cleaned", NULL},
    {"wash", "washes", "washed", "washed", NULL},
    {"steal", "steals", "stole", "stolen", "stealed"},
    {"swipe", "swipes", "swiped", "swiped", NULL},
    {"build", "builds", "built", "built", "builded"},
    {"construct", "constructs", "constructed", "constructed", NULL},
};
TABLE(verbs, lex_do_to_things, do_to_things);

static const struct verb alone[] = {
    {"sleep", "sleeps", "slept", "slept", "sleeped"},
    {"doze", "dozes", "dozed", "dozed", NULL},
    {"weep", "weeps", "wept", "wept", "weeped"},
    {"cry", "cries", "cried", "cried", NULL},
    {"laugh", "laughs", "laughed", "laughed", NULL},
    {"giggle", "giggles", "giggled", "giggled", NULL},
    {"fall", "falls", "fell", "fallen", "falled"},
    {"tumble", "tumbles", "tumbled", "tumbled", NULL},
    {"speak", "speaks", "spoke", "spoken", "speaked"},
    {"talk", "talks", "talked", "talked", NULL},
    {"jump", "jumps", "jumped", "jumped", NULL},
    {"leap", "leaps", "leapt", "leapt", NULL},
    {"smile", "smiles", "smiled", "smiled", NULL},
    {"grin", "grins", "grinned", "grinned", NULL},
    {"vanish", "vanishes", "vanished", "vanished", NULL},
    {"disappear", "disappears", "disappeared", "disappeared", NULL},
};
TABLE(verbs, lex_do, alone);

/* Four rows a group: a word, its synonym, an opposite, the opposite's synonym. */
static const struct quality of_animate[] = {
    {"big"},   {"large"},   {"small"},  {"little"},   {"happy"}, {"glad"},   {"sad"},     {"unhappy"},
    {"fast"},  {"quick"},   {"slow"},   {"sluggish"}, {"clever"}, {"smart"}, {"foolish"}, {"silly"},
    {"quiet"}, {"silent"},  {"loud"},   {"noisy"},    {"brave"}, {"bold"},   {"timid"},   {"shy"},
};
TABLE(qualities, lex_of_animate, of_animate);

static const struct quality of_things[] = {
    {"big"},   {"large"}, {"small"},  {"little"},   {"odd"},   {"strange"}, {"usual"}, {"ordinary"},
    {"cheap"}, {"inexpensive"}, {"costly"}, {"expensive"}, {"clean"}, {"spotless"}, {"dirty"}, {"filthy"},
};
TABLE(qualities, lex_of_things, of_things);

static const struct quality manner[] = {
    {"quickly"},   {"rapidly"},    {"slowly"},     {"sluggishly"}, {"quietly"}, {"silently"}, {"loudly"}, {"noisily"},
    {"carefully"}, {"cautiously"}, {"carelessly"}, {"recklessly"}, {"happily"}, {"gladly"},   {"sadly"},  {"unhappily"},
};
TABLE(qualities, lex_manner, manner);

static const char *const places[] = {
    "in the garden",   "in the kitchen", "near the river",   "at the station",     "behind the school",
    "in the park",     "on the beach",   "at the market",    "outside the museum", "in the forest",
    "beside the lake", "at the airport", "under the bridge", "in the office",
};
TABLE(words, lex_places, places);

static const char *const times[] = {
    "in the morning", "at noon",    "on Monday", "before dawn",      "after lunch",     "in the evening",
    "in winter",      "on Sundays", "at night",  "during the storm", "after the match", "every week",
};
TABLE(words, lex_times, times);
