/* Single LCE operators as nodes of a runtime. */
#ifndef BNNPAN_LITERT_NODE_H
#define BNNPAN_LITERT_NODE_H

#include "abi.h"

/* For one node each: whatever the operator's options cannot be done is refused when it is prepared. */
litert_registration litert_node_registration(void);

#endif
