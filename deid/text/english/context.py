"""Words around a run of capitals that say what it names."""

import re
from typing import Final

from deid.text.english.letters import LETTER

_HEAD: Final = rf"(?<![{LETTER}0-9])"
_RELATION: Final = (
    "husband|wife|son|daughter|mother|father|mom|dad|mum|brother|sister|partner|boyfriend|girlfriend|friend|fianc[eé]e?|spouse"
    "|child|kid|baby|grandson|granddaughter|grandmother|grandfather|nephew|niece|cousin|aunt|uncle|neighbou?r|roommate"
    "|colleague|co-?worker|boss|guardian|care ?giver|care ?taker|manager|assistant|secretary|landlord|teacher|student"
)
_STAFF: Final = (
    "patient|pt|client|physician|surgeon|provider|therapist|psychiatrist|psychologist|cardiologist|oncologist|neurologist"
    "|dermatologist|pediatrician|paediatrician|anesthesiologist|radiologist|pathologist|consultant|resident|intern|fellow"
    "|attending|midwife|pharmacist|dentist|nurse|technician|social worker|counselor|specialist|officer|detective|author"
    "|director|singer|songwriter|actor|actress|artist|player|founder|ceo|president|president-elect|candidate|professor|reporter"
)

NAMING: Final = re.compile(
    rf"{_HEAD}(?:(?:names?|surname|nickname)(?: ?(?:is|was|:|=|-|to|of))?|names are|named(?: (?:him|her|it|them"
    rf"|after|as))?"
    r"|called(?: (?:him|her|them))?|calls? me|know me as|known as|goes by|aka|a\.k\.a\.|alias|i am|i'm|i’m"
    r"|this is|it's me,?|signed(?: by)?:?|signature:?|yours(?: truly| sincerely| faithfully)?,?"
    r"|sincerely(?: yours)?,?|(?:best |kind |warm )?regards,?|cheers,?|dear|attn\.?:?|attention:|cc:|re:|c/o"
    r"|dictated by:?|(?:emergency )?contact(?: person)?:|next of kin:?"
    rf"|(?:{_RELATION}|{_STAFF})(?:'s name)?(?: is| was|:|,)?|behalf of|in the name of"
    rf"|under the name(?: of)?)[ \n]{{0,2}}\Z"
)
"""A person's name follows; ``I am`` may precede other things, which the word lists tell."""

PERSONAL: Final = re.compile(
    rf"{_HEAD}(?:by|with|said|told|asked|asks?|met|meet|thanks?,?|thank you,?|hi,?|hello,?|hey,?|under|heard|add"
    rf"|added|adding|remove|removed"
    r"|invite|invited|call|called|text|email|emailed|contacted|contact|saw|seen|see|love|miss|starring|featuring"
    r"|tell|help|helped|ask|let|why (?:is|was|does|did|do)|where (?:is|was|does|did)|how (?:is|was|does|did)"
    r"|who is|who's|is|does|did|has|when|that|because|while|like|early|late|young|old|poor|little|user|for|to|and"
    r"|or|of|about|from:|to:)[ \n]{1,2}[\"“‘(]?\Z"
)
"""A person's name may follow, and mostly does where the word is none that is listed."""

ACTS: Final = re.compile(
    r"(?:'s|’s)?,? ?(?:said|says|told|asked|replied|wrote|writes|thinks|thought|lives|lived|works|worked|went"
    r"|came|called|calls|is|was|has|had|will|would|can|could|does|did|wants|wanted|needs|needed|likes|loves|loved"
    r"|moved|married|died|born|reports|reported|complains|complained|denies|denied|presented|presents|states"
    r"|stated|arrived|left|returned|seems|feels|felt|spent|gave|took|and i|and his|and her|may i|please|who"
    r"|played|plays|sings|sang)(?![a-z])"
)

IN_PLACE: Final = re.compile(
    rf"{_HEAD}(?:in|near|into|through|across|visit(?:ed|ing)?|throughout|around|outside|inside|southern|northern"
    rf"|eastern|western|central|north|south|east|west|downtown|(?:city|town|village|county|state|republic|capital"
    rf"|part|north|south|east|west) of|leav(?:e|ing)|reach(?:ed)?"
    rf"|(?<!heard )(?<!call )(?<!message )(?<!letter )(?<!email )(?<!note )from|(?:go|goes|going|went|gone"
    rf"|travel(?:l?ing|l?ed)?|mov(?:e|ed|ing)|fl(?:y|ew|ying|own|ight)|return(?:ed|ing)?|back|driv(?:e|ing)|drove"
    rf"|trip|com(?:e|ing)|came|relocat(?:ed|ing)|deported|arriv(?:ed|ing)|welcome|way|visit)(?: here| back)? to"
    rf"|arrived at)[ \n](?:the )?\Z"
)
"""A place may follow."""

PLACE_BEHIND: Final = re.compile(
    r"(?:'s|’s)? (?:city|town|bridge|airport|rivers?|county|province|region|district|area|station|beach(?:es)?"
    r"|islands?|lake|government|border|embassy|weather|metro|harbou?r|valley|mountains|downtown|suburbs?|coast"
    r"|peninsula|(?:was|is) (?:[a-z]+ ){1,3}to visit|is the capital)(?![a-z])"
)
"""A place stands before it."""

SURE_FIRM: Final = re.compile(
    rf"{_HEAD}(?:work(?:s|ed|ing)? (?:for|at)|employed (?:by|at)|employer(?: is|:)?|company:|organi[sz]ation:"
    rf"|joined|hired by"
    r"|(?:year|years|months|job|career|internship|position) at|customer of|client of|subsidiary of|insured (?:by"
    r"|with)|insurance:|carrier:|payer:)[ \n](?:the )?\Z"
)
"""An organisation follows."""

FIRM_BEHIND: Final = re.compile(
    r"(?:'s|’s)? (?:offices?|headquarters|hq|employees?|staff|ceo|cfo|cto|founders?|customers?|stores?"
    r"|branch(?:es)?|shares|stock|website|products?|services?|team|spokes(?:man|woman|person)|factory|warehouse"
    r"|campus|is (?:a|an|the) (?:[a-z-]+ ){0,3}(?:agency|company|firm|startup|start-up|bank|insurer|retailer"
    r"|manufacturer|provider|business|maker|organi[sz]ation|non-?profit|charity|brand|supplier"
    r"|consultancy))(?![a-z])",
    re.IGNORECASE,
)
"""An organisation stands before it."""

CLINICAL: Final = re.compile(
    r"(?:'s|’s|['’])?[ -](?:disease|syndrome|sign|test|palsy|scale|score|criteria|classification|fracture"
    r"|lymphoma|thyroiditis|tumou?r|procedure|operation|maneuver|manoeuvre|reflex|esophagus|oesophagus|phenomenon"
    r"|chorea|ulcer|cells?|contracture|node|nodes|tube|catheter|solution|law|effect|method|stain|agar|virus|fever"
    r"|dementia|monitor|coma|position|valve|duct|gland|loop|bodies|body|triad|point|cyst|hernia|dystrophy|ataxia"
    r"|anemia|anaemia|sarcoma|nephropathy|cirrhosis|ring|space|vaccine|curve|model|correlation|exact|estimator"
    r"|regression|plot|correction|stage|staging|grade|index|lactate|scan|negative|positive)s?(?![a-z])",
    re.IGNORECASE,
)
"""What bears a physician's name and names no patient."""
