// The functions of ../common/maths.h in this dialect.
#pragma once

#include "dialect.h"

#include "../common/maths.h"
