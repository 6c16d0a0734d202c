"""Makes the package's `nouns.tsv`, the common words for what can be seen, from WordNet and counts of words.

    pip download --no-deps symspellpy==6.10.1 && unzip symspellpy-6.10.1-py3-none-any.whl -d counts
    python -m tests.banks.derive_nouns counts/symspellpy

WordNet does not say which words are common; the two frequency lists of symspellpy (MIT) do: 82,765 single words and
242,342 pairs, counted on the web. A word is in

- that is one or two words long and in small letters, and no plural but where it has no singular (`binoculars`);
- whose sense among the kinds of things below is the first or second one as a noun, the first being a thing, too (so no
  `thirst`), and that is no more an adjective than a noun (no `deep`);
- that was counted 300,000 times, a pair at all: with 50,000 to 500,000 the share of photographs that get a right name
  is within two points of that;
- that is not abstract, coarse or a judgement: of kinds that mostly hold what cannot be seen only the words of SEEN are
  in, of the others all but those of UNFIT and of what is below UNSEEN.

Lines: word, tab, the sense that let it in, as `<8-digit offset>-n`. In the order of the words; the same input gives the
same bytes.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from curator.banks.nouns import DATA_FILE
from curator.banks.wordnet import Candidate, Synset, load_wordnet
from curator.errors import SourceError, UsageError

WORDS_FILE = "frequency_dictionary_en_82_765.txt"
PAIRS_FILE = "frequency_bigramdictionary_en_243_342.txt"
FEWEST = 300_000
KINDS = ("noun.animal", "noun.artifact", "noun.food", "noun.object", "noun.plant")
THINGS = {
    *KINDS,
    *("noun.Tops", "noun.body", "noun.substance", "noun.phenomenon", "noun.person", "noun.group", "noun.location"),
    *("noun.shape", "noun.communication"),
}
WORD = re.compile(r"[a-z]+(?:[ -][a-z]+)?")
# Of kinds that mostly hold what nobody sees, and of words whose usual sense is another one, these. Most person nouns
# judge or cannot be seen: of ImageNet's 2,832 person synsets 158 were found safe and imageable (Yang et al., Towards
# Fairer Datasets, FAT* 2020).
SEEN = {
    "noun.person": """
        astronaut athlete baby boy bride chef child climber clown cowboy cyclist dancer farmer firefighter
        fisherman girl groom man musician nurse person runner singer skier soldier spectator surfer swimmer
        waiter woman""",
    "noun.body": """
        abdomen ankle arm back beard belly biceps brain braid breath chest chin cheek ear elbow eye eyeball
        eyebrow eyelash face finger fist foot forearm forehead hair haircut hand head heart hip jaw knee knuckle
        leg lip liver lung moustache mouth muscle nail neck nose palm rib shoulder skeleton skin skull spine
        stomach thigh thumb toe tongue tooth wrist wing feather fur horn antler beak claw paw tail""",
    "noun.substance": """
        adobe agate alabaster amber amethyst aquamarine ash asphalt bamboo basalt brass bronze cardboard cement
        chalk charcoal clay coal compost concrete copper coral cork cotton crystal dew diamond dirt driftwood
        dust emerald fiber firewood flax fleece foam frost garbage garnet gem gemstone glass glue gold granite
        gravel hay hemp henna ice ink ivory jade jasper jute lacquer latex lava leather limestone linoleum log
        lumber manure marble metal mica mud newsprint notepad obsidian oil onyx opal ore paint paper papyrus
        parchment pewter plank plaster plastic powder pyrite quartz rhinestone rubber rubbish rubble ruby rust
        sand sandpaper sandstone sapphire sawdust shale sheepskin shingle silver slime smoke snow soap soil
        sponge steam steel straw stucco suede tarmac timber topaz topsoil tourmaline trash turquoise vellum
        vinyl wallpaper water wax wicker wood wool zircon""",
    "noun.phenomenon": """
        aurora blizzard cloud cyclone drizzle explosion fire flame flood fog hail hurricane lightning mist rain
        rainbow rainfall sandstorm shadow snowfall snowflake storm sunrise sunset sunspot thunderstorm tornado
        typhoon wave whirlwind""",
    "noun.location": """
        airport beach capital_city city district coast countryside desert downtown farm field garden home meadow
        orchard park pasture playground square suburb town village yard""",
    "noun.shape": """
        circle cone cube cylinder ellipse globe heart line oval pyramid ring sphere spiral square star triangle""",
    "noun.communication": """
        advertisement bar_code cartoon comic_book comic_strip crossword_puzzle graph label letter logo newspaper
        page poster receipt road_sign sheet_music sign stop_sign street_sign ticket traffic_light website""",
    "noun.group": "audience choir crowd flock forest galaxy herd orchestra skyline swarm",
    "noun.act": "baseball basketball football volleyball concert",
    "noun.event": "concert fireworks parade rodeo wedding",
    "noun.artifact": """
        album avenue blueprint board carton classroom dune football harbor jigsaw medallion metro
        panorama photograph palette pharmacy road_map ruin screenshot showcase studio teacup tapestry television
        thimble tray tripod t-shirt watercraft x-ray""",
    "noun.food": "cereal lettuce mint stew teaspoon water wine beer milk",
    "noun.animal": "animal dragon unicorn",
    "noun.plant": "plant lichen",
    "noun.object": "cloud constellation landscape moon planet star sun",
}
# Words of the other kinds that are abstract, coarse or of science, or common only for something else written so.
UNFIT = """
    aba abstract accelerator accelerometer acetyl actuator addition adjunct adrenergic aggregate ail android
    angiotensin anion annex annual anode antifungal antimicrobial anus apparatus appliance applicator approach
    aquifer argyll arse art_school articulation ascent ass assemblage assembly atom attachment auberge axis
    backing backspace backstage backup_system badlands baffle bags balmoral bang bap barbarian bareboat base
    bethel bijou billet binary bit bitmap blank blinks block_diagram blockbuster body_lotion bonanza bones boson
    box breach breech brothel buck bud_brush building_block bum business_office bust butt buttery bypass
    byproduct cache calculus calumet cant cap capacity capitals carbon_copy casein cast cat_food catchment
    cation causeway central_office chain chains chamber champaign chance cheat chip choc choke cinch circuitry
    circulation clarence class cleaners cleaver clip closed_circuit closed_loop clot coalition cob cock col
    collation collectable collectible colophon coma command command_post commemorative commodity common commons
    communication_system commuter compartment complement composite concentrate concentration_camp condom conduit
    confessional connective conserve consignment constituent consulate consumer_goods contraband contraceptive
    control_circuit control_system convertor coping copy core cos counterfeit coupling cover covering covert
    crap crossing crusher culture_medium cunt curbside cursor cutaway cutout cyberspace data_link data_system
    dead_end death_row delineation deliverable depositary depository detection detour device dialog_box digs
    dildo diphthong dipole discard disinfectant docking dog_food doodle doubletree douche downhill dropper duff
    duplicate duplication duplicator durable_goods eats echelon elastic electron element eliminator ell
    embellishment emissary emitter encasement end_product entanglement entrant epithelium equipment existence
    expansion_slot export exportation express facility facing facsimile fake fanny fastener fastening feed
    feedback_loop fermion fetish fieldwork filing fill fission fixings fixture flagging flap flash_memory fleck
    followup font food_product footage forage fore forgery fracture fragment frame_buffer freshener fuel_system
    gag gallows gap garb gather gear gearing gig gilt gimmick gin gizmo glory_hole gluon goings golden_age goo
    good goody graphics grist grits ground_cover grouping grub guillotine gusset hadron hanging hank harem
    harvest hash health_facility healthcare_facility heating_system helping herbal highway_system hone honesty
    hooker hookup horror hub huck hybrid impediment implant implement import improvement improvisation incline
    inductor infiltration information_system infrastructure ingredient injector innovation input_device insert
    inset installation institution instrument instrumentality instrumentation interlock internet interstate
    intranet inventory iron_maiden jakes jammer jimmy john joss keep keepsake knockoff lading lamination
    landfall lapping launch layer leading_edge lepton life_form life_support limiter lines linkage links lisle
    load loading lockup locus lodgings long_chain loo lots lube lubricant lucerne made main_office makings
    manifold manufacturing_plant marge mart martingale materiel matter maxi may means measuring_device
    meeting_place mercenary merchandise meson metallic milt mine mini ministry mishap mix modernism modification
    monotype motif motley mount mouse_button mouthful muon muscat must natural_order necessity need nematode
    ness network neutrino neutron nipple nit nonsense novel nucleon nude nuke nymph obstruction oeuvre one_shot
    opening orbiter order_book ordnance organs ornamental outfall outfit output output_device outside overlap
    overlapping overlay overload override padding pall pap parallel_port paraphernalia parasite paring part
    payload pecker penis perforation perishable pet_food phaeton phone_system photon piece pion placer
    plant_material plasmid plat plenum poi point portal_system positron postmodernism potable pouffe
    power_system prey primer prion processor prod product production projectile propulsion_system proton
    provisions pruning public_works pud pussy quark quarrel quarters raglan rags raise raw_material reader recap
    receptacle reception recording_system rector red_hot rein release relic relief_valve remains remake removal
    rent repertory replica repository repressor requirement requisite research_facility reset reset_button
    residence_hall resistor resonator rest restraint retardant retort retrofit rig root root_system roux sac
    sampler sang saute scape school_system scrap scraping scree screening scribble scum seascape second seconds
    section security_system segment semaphore semi separator sepsis serial_port service_department serving
    setting settle setup sewer_system sham shaving shielding shift_key shim shiner shipment short_circuit
    shortcut sider silva site slash slough slut snip snippet sod software_package software_product sol
    solid_ground soma sounder space_bar spawn specimen spell spit splicing spoilage spot spread spunk stabilizer
    staff staging standby staphylococcus state_prison station_keeping stint stop stopping storage_area
    storage_device storage_space strain strep streptococcus structure stub stuff stumbling_block sub subject
    subsection substrate succession sump sundries supernatant supply support surface surveillance_system
    suspension_system sustenance swell synchro system system_clock tails takin tam tammy tamper tangle taping
    teak telegraph telex telly tensor test_bed test_equipment tether the_boot third_class thong thread threads
    throughput thwart tillage tit titty topping tor tote transit transmission_system transport transportation
    transportation_system trapping treat treatment trifle trim trimmings trivia trotter trump tuck tun tupelo
    turnout unit unit_cell universe upgrade uphill upland upper upper_surface upstairs utility vagabond vagina
    variable veg vegetarianism vent ventilation_system venture verso vertebrate vibes vibrio vignette
    virtual_memory virus voodoo wad ware waste way way_out ways weapon_system web webbing wether whatnot widget
    windfall wiring_diagram workhorse workings works world wreckage xerox yes zag zone zooplankton
    """
# Kinds of which no one sees anything, with all that is below them.
UNSEEN = {
    "noun.artifact": ("drug", "sound recording", "line", "electrical system", "software", "chemical weapon"),
    "noun.object": ("particle",),
    "noun.animal": ("microorganism",),
}
# Things of two halves, and the word that WordNet may have for one of them.
PAIRS = {
    "jeans": "jean",
    "trousers": "trouser",
    "headphones": "headphone",
    "overalls": "overall",
    "leggings": "legging",
}
PLURALS = {
    *PAIRS,
    *("binoculars", "bleachers", "eyeglasses", "fireworks", "french fries", "fries", "glasses", "goggles", "pants"),
    *("pajamas", "pliers", "scissors", "shears", "shorts", "slacks", "stairs", "sunglasses", "tongs", "tweezers"),
    *("baked goods", "sporting goods", "underpants"),
}


def derive(folder: Path) -> bytes:
    """The list, from the two frequency files of a folder."""
    wordnet, words, pairs = load_wordnet(), read_counts(folder / WORDS_FILE), read_counts(folder / PAIRS_FILE)
    unseen, unfit = below(UNSEEN), set(phrases(UNFIT))
    found: dict[str, str] = {}
    for word in wordnet.lemmas("noun", lexnames=KINDS):
        common = pairs.get(word.text, 0) if " " in word.text else words.get(word.text, 0) >= FEWEST
        if common and is_seen(word, unseen) and word.text not in unfit and is_singular(word.text):
            found[word.text] = word.synset
    for kind, listed in SEEN.items():
        for text in phrases(listed):
            senses = sorted(wordnet.synsets(text, "noun"), key=lambda sense: sense.lexname != kind)
            found.setdefault(text, senses[0].synset_id if senses else "")
    for text, half in PAIRS.items():
        found[text] = found.pop(half, found.get(text, ""))
    return "".join(f"{text}\t{found[text]}\n" for text in sorted(found)).encode("ascii")


def phrases(listed: str) -> list[str]:
    """The words of a list, with spaces for underscores."""
    return [text.replace("_", " ") for text in listed.split()]


def read_counts(path: Path) -> dict[str, int]:
    """How often each word or pair was counted. Raises SourceError."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}", hint="unzip the wheel of symspellpy") from error
    return {line.rpartition(" ")[0]: int(line.rpartition(" ")[2]) for line in lines if line.strip()}


def is_seen(word: Candidate, unseen: set[str]) -> bool:
    """Whether the sense is a thing that can be seen, and what the word usually means."""
    if word.synset in unseen or not WORD.fullmatch(word.text):
        return False
    wordnet = load_wordnet()
    senses = [sense for sense in wordnet.synsets(word.text, "noun") if is_word(sense, word.text)]
    usual = word.synset in [sense.synset_id for sense in senses[:2]] and senses[0].lexname in THINGS
    return usual and len(wordnet.synsets(word.text, "adjective")) <= len(senses)


def is_word(sense: Synset, text: str) -> bool:
    """Whether the sense has the word in small letters, so that it is no name."""
    return text in sense.lemmas


def is_singular(text: str) -> bool:
    return text in PLURALS or not load_wordnet().singulars(text.split()[-1]) or not text.endswith("s")


def below(kinds: Mapping[str, Sequence[str]]) -> set[str]:
    """Ids of the senses of those words that are in that file of WordNet, and of all that is a kind of them."""
    wordnet = load_wordnet()
    waiting = [
        sense
        for kind, words in kinds.items()
        for word in words
        for sense in wordnet.synsets(word, "noun")
        if sense.lexname == kind
    ]
    reached: set[str] = set()
    while waiting:
        sense = waiting.pop()
        if sense.synset_id not in reached:
            reached.add(sense.synset_id)
            waiting += wordnet.hyponyms(sense)
    return reached


def main(arguments: Sequence[str]) -> None:
    """Write the file. Raises UsageError for anything but one folder."""
    if len(arguments) != 1:
        raise UsageError("give the folder with the two frequency files of symspellpy")
    DATA_FILE.write_bytes(derive(Path(arguments[0])))


if __name__ == "__main__":
    main(sys.argv[1:])
