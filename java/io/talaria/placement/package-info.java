/** What a model takes on devices, before it is loaded: memory plan, split over devices, catalogue of GPUs. */
package io.talaria.placement;
